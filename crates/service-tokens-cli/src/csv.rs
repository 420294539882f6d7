//! A strict reader of CSV (RFC 4180).
//!
//! A field that is read wrongly would be imported for the wrong owner, so everything that RFC 4180 does not
//! allow is an error: a quote inside an unquoted field, text after a closing quote, a quote that is never
//! closed, and a row with another number of fields than the header. No message repeats a field.

use std::mem::take;

/// A row, with the number of its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) fields: Vec<String>,
}

/// Reads all rows. The first one is the header. Empty lines are ignored.
pub(crate) fn rows(text: &str) -> Result<Vec<Row>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows: Vec<Row> = Vec::new();
    let mut reader = Reader { rest: text, line: 1 };
    while !reader.rest.is_empty() {
        let line = reader.line;
        let row =
            Row { line, fields: reader.row().map_err(|error| format!("line {line}: {error}"))? };
        if row.fields.len() == 1 && row.fields.iter().all(String::is_empty) {
            continue;
        }
        if let Some(header) = rows.first()
            && header.fields.len() != row.fields.len()
        {
            let (found, expected) = (row.fields.len(), header.fields.len());
            return Err(format!("line {line}: {found} fields instead of {expected}"));
        }
        rows.push(row);
    }
    Ok(rows)
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

/// The character after a field.
enum End {
    Comma,
    Line,
}

impl Reader<'_> {
    fn row(&mut self) -> Result<Vec<String>, &'static str> {
        let mut fields = Vec::new();
        loop {
            let (field, end) = match self.rest.strip_prefix('"') {
                Some(rest) => {
                    self.rest = rest;
                    self.quoted()?
                }
                None => self.unquoted()?,
            };
            fields.push(field);
            if let End::Line = end {
                return Ok(fields);
            }
        }
    }

    fn unquoted(&mut self) -> Result<(String, End), &'static str> {
        let len = self.rest.find([',', '\n', '\r', '"']).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(len);
        let field = field.to_owned();
        self.rest = rest;
        Ok((field, self.end("a quote inside a field that does not begin with one")?))
    }

    /// Reads a field after its opening quote.
    fn quoted(&mut self) -> Result<(String, End), &'static str> {
        let mut field = String::new();
        loop {
            let (part, rest) = self.rest.split_once('"').ok_or("a quote is not closed")?;
            self.line += part.matches('\n').count();
            field.push_str(part);
            match rest.strip_prefix('"') {
                Some(rest) => {
                    field.push('"');
                    self.rest = rest;
                }
                None => {
                    self.rest = rest;
                    let end = self.end("text after a closing quote")?;
                    return Ok((take(&mut field), end));
                }
            }
        }
    }

    fn end(&mut self, otherwise: &'static str) -> Result<End, &'static str> {
        if self.rest.is_empty() {
            return Ok(End::Line);
        }
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            return Ok(End::Comma);
        }
        if self.rest.starts_with('\r') && !self.rest.starts_with("\r\n") {
            return Err("a carriage return without a line feed");
        }
        let rest = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'));
        self.rest = rest.ok_or(otherwise)?;
        self.line += 1;
        Ok(End::Line)
    }
}
