//! `completion`: small shell scripts that ask this program what may come next.

use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;

/// The arguments of `completion`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// bash, zsh or fish.
    #[arg(value_name = "SHELL")]
    shell: Option<String>,
}

/// Each script calls the program for candidates; NAME and COMMAND are put in. The last line of an
/// answer is a number: 2 says that no space follows, 4 that files are no candidates, and 8 that
/// files with the given ends are.
const BASH: &str = r#"# bash completion for NAME
__NAME_complete() {
    local IFS=$'\n' line cur="${COMP_WORDS[COMP_CWORD]}"
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") found=() directive=0
    while read -r line; do
        case "$line" in
            :*) directive="${line#:}" ;;
            *) found+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" COMMAND "${words[@]}" 2>/dev/null)
    COMPREPLY=()
    if (( directive & 8 )); then
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$cur"))
        return
    fi
    (( directive & 2 )) && compopt -o nospace 2>/dev/null
    (( directive & 4 )) && compopt +o default 2>/dev/null
    COMPREPLY=("${found[@]}")
}
complete -o default -F __NAME_complete NAME
"#;

const ZSH: &str = r#"#compdef NAME
compdef _NAME NAME
_NAME() {
    local -a found space
    local line directive=0
    for line in "${(@f)$(${words[1]} COMMAND "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case "$line" in
            :*) directive="${line#:}" ;;
            *$'\t'*) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            ?*) found+=("${line//:/\\:}") ;;
        esac
    done
    (( directive & 2 )) && space=(-S '')
    if (( directive & 8 )); then
        _files
    elif (( ${#found} )); then
        _describe 'NAME' found "${space[@]}"
    elif (( ! (directive & 4) )); then
        _files
    fi
}
if [ "$funcstack[1]" = "_NAME" ]; then
    _NAME
fi
"#;

const FISH: &str = r#"# fish completion for NAME
function __NAME_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] COMMAND $words[2..-1] 2>/dev/null)
    test (count $found) -gt 0; or return
    set -l directive (string sub -s 2 -- $found[-1])
    set -e found[-1]
    if test (math "bitand($directive, 8)") -ne 0
        __fish_complete_path (commandline -ct)
    else if test (count $found) -eq 0 -a (math "bitand($directive, 4)") -eq 0
        __fish_complete_path (commandline -ct)
    else
        string join \n -- $found
    end
end
complete -c NAME -f -a '(__NAME_complete)'
"#;

/// Runs it.
pub async fn run(_: &Shell, args: Args) -> Result {
    match args.shell.as_deref() {
        None => said("Shell not specified.\nSee 'kubectl completion -h' for help and examples"),
        Some("powershell") => said("completion for powershell is not supported"),
        Some(shell) => match script(shell, "kubectl", "__complete") {
            Some(script) => {
                io::out(&script);
                Ok(())
            }
            None => said(format!(
                "Unsupported shell type \"{shell}\".\nSee 'kubectl completion -h' for help and examples"
            )),
        },
    }
}

/// The script that makes a shell ask a program, called by a name, with these words.
pub fn script(shell: &str, name: &str, command: &str) -> Option<String> {
    let script = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        _ => return None,
    };
    Some(script.replace("COMMAND", command).replace("NAME", name))
}
