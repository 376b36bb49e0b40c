//! What the binary can be, a file each.

pub mod backup;
pub mod certificate;
pub mod check;
pub mod image;
pub mod install;
pub mod manual;
pub mod reset;
pub mod server;
pub mod token;

/// Prints rows in columns, three spaces apart as kubectl's.
pub fn print_table<const N: usize>(rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}   "));
        }
        println!("{}", line.trim_end());
    }
}
