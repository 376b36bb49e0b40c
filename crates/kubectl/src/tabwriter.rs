//! Columns that are as wide as their cells need, as Go's text/tabwriter lays
//! them out: a column is a run of neighbouring lines that have a cell there.

/// How columns are laid out.
#[derive(Clone, Copy, Debug)]
pub struct TabWriter {
    /// No column is narrower, its padding included.
    pub min_width: usize,
    /// Space after the widest cell.
    pub padding: usize,
    /// A column is as wide as it was in lines before, also when others lacked it in between.
    pub remembers: bool,
}

/// The layout of tables.
pub const TABLE: TabWriter = TabWriter {
    min_width: 6,
    padding: 3,
    remembers: true,
};

/// The layout of descriptions.
pub const DESCRIPTION: TabWriter = TabWriter {
    min_width: 0,
    padding: 2,
    remembers: false,
};

impl TabWriter {
    /// Text with each tab made the space that its column needs.
    pub fn format(self, text: &str) -> String {
        let lines: Vec<Vec<&str>> = text.split('\n').map(|l| l.split('\t').collect()).collect();
        let mut layout = Layout {
            writer: self,
            lines: &lines,
            widths: Vec::new(),
            widest: Vec::new(),
            out: String::with_capacity(text.len() * 2),
        };
        layout.block(0, lines.len());
        layout.out
    }
}

struct Layout<'a> {
    writer: TabWriter,
    lines: &'a [Vec<&'a str>],
    widths: Vec<usize>,
    /// The widest that each column has been.
    widest: Vec<usize>,
    out: String,
}

impl Layout<'_> {
    fn has_column(&self, line: usize, column: usize) -> bool {
        column + 1 < self.lines[line].len()
    }

    fn block(&mut self, mut from: usize, to: usize) {
        let column = self.widths.len();
        let mut this = from;
        while this < to {
            if !self.has_column(this, column) {
                this += 1;
                continue;
            }
            self.write(from, this);
            from = this;
            let mut width = self.writer.min_width;
            while this < to && self.has_column(this, column) {
                let cell = self.lines[this][column].chars().count();
                width = width.max(cell + self.writer.padding);
                this += 1;
            }
            let width = self.remembered(column, width);
            self.widths.push(width);
            self.block(from, this);
            self.widths.pop();
            from = this;
        }
        self.write(from, to);
    }

    /// Follows github.com/liggitt/tabwriter, which upstream prints tables with.
    fn remembered(&mut self, column: usize, width: usize) -> usize {
        if !self.writer.remembers {
            return width;
        }
        self.widest.resize(self.widest.len().max(column + 1), 0);
        let widest = &mut self.widest[column];
        *widest = width.max(*widest);
        *widest
    }

    fn write(&mut self, from: usize, to: usize) {
        for line in from..to {
            for (column, cell) in self.lines[line].iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(column) {
                    let space = width.saturating_sub(cell.chars().count());
                    self.out.extend(std::iter::repeat_n(' ', space));
                }
            }
            if line + 1 < self.lines.len() {
                self.out.push('\n');
            }
        }
    }
}

/// Text without characters that would command a terminal.
pub fn escape(text: &str) -> String {
    text.replace('\u{1b}', "^[").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_end_where_a_line_lacks_them() {
        let text = "Name:\tx\nLabels:\ta=b\n\tc=d\nSubsets:\n  Addresses:\t1\n  A\tb\tc\nend\n";
        let wanted = "Name:    x\nLabels:  a=b\n         c=d\nSubsets:\n  Addresses:  1\n  A           b  c\nend\n";
        assert_eq!(DESCRIPTION.format(text), wanted);
    }

    #[test]
    fn tables_have_six_wide_columns() {
        assert_eq!(TABLE.format("A\tB\nxyzw\tc\n"), "A      B\nxyzw   c\n");
    }

    #[test]
    fn tables_remember_how_wide_their_columns_were() {
        let text = "NAME\tA LONG TITLE\t\nx\ny\t1\t\n";
        let wanted = "NAME   A LONG TITLE   \nx\ny      1              \n";
        assert_eq!(TABLE.format(text), wanted);
    }
}
