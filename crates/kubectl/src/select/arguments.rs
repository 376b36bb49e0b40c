//! Types and names on the command line: `pods`, `po,svc`, `pod a b`, `pod/a svc/b`.

use super::Choice;
use crate::discovery::Resource;
use crate::error::{Result, said};
use crate::shell::Shell;
use std::sync::Arc;

/// What is wanted of one resource.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// These objects.
    Names(Arc<Resource>, Vec<String>),
    /// All that the selectors choose.
    All(Arc<Resource>),
}

const MIXED: &str = "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'";

/// Reads the arguments.
pub async fn wanted(shell: &Shell, choice: &Choice<'_>) -> Result<Vec<Wanted>> {
    let arguments = choice.arguments;
    let by_name = !choice.labels.is_empty() || choice.all || !choice.fields.is_empty();
    if arguments.iter().any(|word| word.contains('/')) {
        if by_name && !choice.labels.is_empty() {
            return said("name cannot be provided when a selector is specified");
        }
        return pairs(shell, arguments).await;
    }
    let Some((types, names)) = arguments.split_first() else {
        return said("you must provide one or more resources by argument or filename");
    };
    if names.is_empty() && !choice.default_type.is_empty() && !types.contains(',') {
        let resource = shell.resource(choice.default_type).await?;
        return Ok(vec![Wanted::Names(resource, vec![types.clone()])]);
    }
    let resources = resources(shell, types).await?;
    if names.is_empty() {
        return Ok(resources.into_iter().map(Wanted::All).collect());
    }
    if !choice.labels.is_empty() {
        return said("name cannot be provided when a selector is specified");
    }
    if choice.all {
        return said("name cannot be provided when a selector is specified");
    }
    if names.iter().any(String::is_empty) {
        return said("resource name may not be empty");
    }
    if let [resource] = resources.as_slice() {
        return Ok(vec![Wanted::Names(resource.clone(), names.to_vec())]);
    }
    let each = names.iter().flat_map(|name| {
        let one = |resource: &Arc<Resource>| Wanted::Names(resource.clone(), vec![name.clone()]);
        resources.iter().map(one).collect::<Vec<_>>()
    });
    Ok(each.collect())
}

/// The resources of `po,svc` or of a category.
pub(crate) async fn resources(shell: &Shell, types: &str) -> Result<Vec<Arc<Resource>>> {
    let discovery = shell.discovery().await?;
    let mut out: Vec<Arc<Resource>> = Vec::new();
    for word in types.split(',') {
        if word.is_empty() {
            return said("the server doesn't have a resource type \"\"");
        }
        let members = discovery.category(word);
        match members.is_empty() {
            true => out.push(discovery.find(word)?),
            false => out.extend(members),
        }
    }
    let mut unique: Vec<Arc<Resource>> = Vec::new();
    for resource in out {
        if !unique.contains(&resource) {
            unique.push(resource);
        }
    }
    Ok(unique)
}

async fn pairs(shell: &Shell, arguments: &[String]) -> Result<Vec<Wanted>> {
    let mut out = Vec::new();
    for word in arguments {
        let parts: Vec<&str> = word.split('/').collect();
        match parts.as_slice() {
            [kind, name] if !kind.is_empty() && !name.is_empty() => {
                let resource = shell.resource(kind).await?;
                out.push(Wanted::Names(resource, vec![name.to_string()]));
            }
            [_, _] => {
                return said(
                    "arguments in resource/name form must have a single resource and name",
                );
            }
            [_] => return said(MIXED),
            _ => {
                return said("arguments in resource/name form may not have more than one slash");
            }
        }
    }
    Ok(out)
}
