//! In: a `--format` template as docker users write it, and a record of fields. Out: one line.
//! The subset of Go's text/template that people type: `{{.Field}}`, `{{.A.B}}`, `{{json .Field}}`, `{{json .}}`,
//! `{{upper .X}}`, `{{lower .X}}`, `{{title .X}}`, `{{println}}`, and a leading `table `.
//! **Invariant:** an unknown field or function is an error that names it, never an empty cell.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use serde_json::Value;

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("template has an unclosed {{{{ at byte {0}")]
    Unclosed(usize),
    /// A field that the record does not have.
    #[error("template asks for .{name}; known fields are {known}")]
    UnknownField {
        /// As written.
        name: String,
        /// The record's fields.
        known: String,
    },
    /// A function or construct outside the subset.
    #[error("template uses `{0}`, which rcompose does not know (fields, json, upper, lower, title, println)")]
    Unknown(String),
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// It began with `table `: print a header and line up the columns.
    pub table: bool,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field {
        function: Option<Function>,
        path: Vec<String>,
    },
    LineFeed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Json,
    Upper,
    Lower,
    Title,
}

impl Template {
    /// Parses a template; `\t` and `\n` written with a backslash are taken as the character, as docker does.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (table, text) = match text.strip_prefix("table ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(open) = rest.find("{{") {
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let Some(close) = rest[open..].find("}}") else {
                return Err(TemplateError::Unclosed(text.len() - rest.len() + open));
            };
            parts.push(action(rest[open + 2..open + close].trim_matches('-').trim())?);
            rest = &rest[open + close + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { table, parts })
    }

    /// The line for one record, an object.
    pub fn render(&self, record: &Value) -> Result<String, TemplateError> {
        let mut line = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::LineFeed => line.push('\n'),
                Part::Field { function, path } => line.push_str(&apply(*function, look_up(record, path)?)),
            }
        }
        Ok(line)
    }

    /// The header of a `table ` template: the fields' names in capitals.
    pub fn header(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::LineFeed => "\n".to_owned(),
                Part::Field { path, .. } => path.last().map(|name| name.to_uppercase()).unwrap_or_default(),
            })
            .collect()
    }
}

fn action(words: &str) -> Result<Part, TemplateError> {
    let mut words_left = words.split_whitespace();
    let first = words_left.next().unwrap_or_default();
    let (function, field) = match first {
        "println" if words_left.clone().next().is_none() => return Ok(Part::LineFeed),
        "json" => (Some(Function::Json), words_left.next().unwrap_or_default()),
        "upper" => (Some(Function::Upper), words_left.next().unwrap_or_default()),
        "lower" => (Some(Function::Lower), words_left.next().unwrap_or_default()),
        "title" => (Some(Function::Title), words_left.next().unwrap_or_default()),
        field => (None, field),
    };
    let Some(path) = field.strip_prefix('.') else {
        return Err(TemplateError::Unknown(words.to_owned()));
    };
    if words_left.next().is_some() {
        return Err(TemplateError::Unknown(words.to_owned()));
    }
    Ok(Part::Field {
        function,
        path: path
            .split('.')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

fn look_up<'a>(record: &'a Value, path: &[String]) -> Result<&'a Value, TemplateError> {
    path.iter().try_fold(record, |value, name| {
        value.get(name).ok_or_else(|| TemplateError::UnknownField {
            name: path.join("."),
            known: value
                .as_object()
                .map(|fields| {
                    fields
                        .keys()
                        .map(|key| format!(".{key}"))
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .unwrap_or_default(),
        })
    })
}

fn apply(function: Option<Function>, value: &Value) -> String {
    let plain = || match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    match function {
        None => plain(),
        Some(Function::Json) => value.to_string(),
        Some(Function::Upper) => plain().to_uppercase(),
        Some(Function::Lower) => plain().to_lowercase(),
        Some(Function::Title) => {
            let text = plain();
            let mut characters = text.chars();
            characters
                .next()
                .map(|first| first.to_uppercase().collect::<String>() + characters.as_str())
                .unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_functions_and_tables() {
        let record = json!({"Name": "web-1", "State": "running", "Publishers": [{"TargetPort": 80}]});
        let line = |text: &str| Template::parse(text).and_then(|template| template.render(&record));
        assert_eq!(
            line("{{.Name}}\\t{{ upper .State }}"),
            Ok("web-1\tRUNNING".to_owned())
        );
        assert_eq!(
            line("{{json .Publishers}}"),
            Ok(r#"[{"TargetPort":80}]"#.to_owned())
        );
        assert_eq!(line("{{title .State}}"), Ok("Running".to_owned()));
        assert_eq!(
            Template::parse("table {{.Name}}\\t{{.State}}").map(|t| (t.table, t.header())),
            Ok((true, "NAME\tSTATE".to_owned()))
        );
    }

    #[test]
    fn mistakes_are_named() {
        let record = json!({"Name": "web-1"});
        assert_eq!(Template::parse("{{.Name"), Err(TemplateError::Unclosed(0)));
        assert_eq!(
            Template::parse("{{range .X}}"),
            Err(TemplateError::Unknown("range .X".to_owned()))
        );
        let unknown = Template::parse("{{.Nmae}}").and_then(|template| template.render(&record));
        assert_eq!(
            unknown,
            Err(TemplateError::UnknownField {
                name: "Nmae".into(),
                known: ".Name".into()
            })
        );
    }
}
