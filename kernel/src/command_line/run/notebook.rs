//! A notebook file: what the runner needs of nbformat 4, and not more.
//!
//! A notebook is kept as the JSON document that it is, so that everything the runner does not know
//! (attachments, metadata of other tools) survives unchanged. Typed access covers only the fields that
//! running a notebook touches.
//!
//! Guiding rule: what is written validates against the nbformat schema of the version it declares, and
//! is laid out as Jupyter lays it out (one space, keys sorted, long texts one line each), so that diffs
//! stay small.

use std::path::Path;

use serde_json::{Map, Value, json};

pub struct Notebook {
    document: Value,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CellKind {
    Code,
    Markdown,
    Raw,
}

impl Notebook {
    /// Reads a notebook of format 4.
    ///
    /// # Errors
    /// One sentence for people: the file cannot be read, is not JSON, or is no notebook of format 4.
    pub fn read(path: &Path) -> Result<Notebook, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the notebook {}: {error}", path.display()))?;
        Notebook::parse(&text).map_err(|problem| format!("{}: {problem}", path.display()))
    }

    pub fn parse(text: &str) -> Result<Notebook, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("this is not a notebook: {error}"))?;
        let format = document.get("nbformat").and_then(Value::as_u64);
        match (format, document.get("cells").and_then(Value::as_array)) {
            (Some(4), Some(cells)) if cells.iter().all(Value::is_object) => Ok(Notebook { document }),
            (Some(4), _) => Err("this notebook has no list of cells".to_owned()),
            (Some(other), _) => Err(format!(
                "this notebook has format {other}, only format 4 is understood; open and save it in JupyterLab"
            )),
            (None, _) => Err("this is not a notebook: `nbformat` is missing".to_owned()),
        }
    }

    pub fn len(&self) -> usize {
        self.cells().len()
    }

    pub fn kind(&self, cell: usize) -> CellKind {
        match self.cells()[cell].get("cell_type").and_then(Value::as_str) {
            Some("code") => CellKind::Code,
            Some("markdown") => CellKind::Markdown,
            _ => CellKind::Raw,
        }
    }

    /// The text of a cell; the file may hold it as one string or line by line.
    pub fn source(&self, cell: usize) -> String {
        joined(self.cells()[cell].get("source"))
    }

    pub fn has_tag(&self, cell: usize, tag: &str) -> bool {
        let tags = self.cells()[cell].pointer("/metadata/tags").and_then(Value::as_array);
        tags.is_some_and(|tags| tags.iter().any(|it| it.as_str() == Some(tag)))
    }

    /// Forgets all results, so that nothing of an older run is taken for this one's.
    pub fn clear(&mut self) {
        for cell in 0..self.len() {
            if self.kind(cell) == CellKind::Code {
                self.set_results(cell, None, Vec::new());
            }
        }
    }

    /// Stores what a cell's run left: `outputs` in nbformat's own form, texts as single strings.
    pub fn set_results(&mut self, cell: usize, execution_count: Option<u64>, outputs: Vec<Value>) {
        if let Some(it) = self.cell_mut(cell) {
            it.insert("execution_count".to_owned(), json!(execution_count));
            it.insert("outputs".to_owned(), Value::Array(outputs));
        }
    }

    /// Stores when a cell ran, in the form that JupyterLab and nbclient use.
    pub fn set_times(&mut self, cell: usize, started: &str, ended: &str) {
        let Some(it) = self.cell_mut(cell) else { return };
        let metadata = it.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert(
                "execution".to_owned(),
                json!({
                    "iopub.status.busy": started,
                    "iopub.execute_input": started,
                    "shell.execute_reply": ended,
                    "iopub.status.idle": ended,
                }),
            );
        }
    }

    /// Declares what ran the notebook, where it does not say so itself.
    pub fn set_language(&mut self, kernelspec: Value, language: Value) {
        let Some(document) = self.document.as_object_mut() else { return };
        let metadata = document.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.entry("kernelspec").or_insert(kernelspec);
            metadata.insert("language_info".to_owned(), language);
        }
    }

    pub fn outputs(&self, cell: usize) -> &[Value] {
        self.cells()[cell].get("outputs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub fn execution_count(&self, cell: usize) -> Option<u64> {
        self.cells()[cell].get("execution_count").and_then(Value::as_u64)
    }

    /// The document as a file.
    pub fn text(&self) -> String {
        let mut document = sorted(&self.document);
        for cell in document.get_mut("cells").and_then(Value::as_array_mut).into_iter().flatten() {
            split_lines(cell.get_mut("source"));
            for output in cell.get_mut("outputs").and_then(Value::as_array_mut).into_iter().flatten() {
                split_lines(output.get_mut("text"));
                let data = output.get_mut("data").and_then(Value::as_object_mut);
                for (mime, value) in data.into_iter().flatten() {
                    // JSON formats hold a document; a string in one is not a text of lines.
                    if !mime.ends_with("json") {
                        split_lines(Some(value));
                    }
                }
            }
        }
        let mut text = Vec::new();
        let layout = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, layout);
        serde::Serialize::serialize(&document, &mut serializer)
            .expect("a JSON document can be written to memory");
        text.push(b'\n');
        String::from_utf8(text).expect("serde_json writes UTF-8")
    }

    fn cells(&self) -> &[Value] {
        self.document.get("cells").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn cell_mut(&mut self, cell: usize) -> Option<&mut Map<String, Value>> {
        self.document.get_mut("cells")?.as_array_mut()?.get_mut(cell)?.as_object_mut()
    }
}

/// A text that nbformat may store as one string or as a list of lines.
pub fn joined(text: Option<&Value>) -> String {
    match text {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// Keys in order, except inside the values of JSON formats, whose order may mean something to a reader.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let kept = |key: &str| key.contains('/') && key.ends_with("json");
            entries
                .into_iter()
                .map(|(key, it)| (key.clone(), if kept(key) { it.clone() } else { sorted(it) }))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn split_lines(text: Option<&mut Value>) {
    if let Some(value) = text
        && let Value::String(text) = value
    {
        *value = text.split_inclusive('\n').collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r##"{"nbformat": 4, "nbformat_minor": 5, "metadata": {"mine": 1}, "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# One\n", "two"]},
        {"cell_type": "code", "id": "b", "metadata": {"tags": ["raises-exception"]}, "source": "1 + 1\n2",
         "execution_count": 9, "outputs": [{"output_type": "stream", "name": "stdout", "text": "old"}]}]}"##;

    #[test]
    fn sources_are_read_in_both_forms() {
        let notebook = Notebook::parse(SMALL).unwrap();
        assert_eq!(notebook.source(0), "# One\ntwo");
        assert_eq!(notebook.source(1), "1 + 1\n2");
        assert!(notebook.has_tag(1, "raises-exception") && !notebook.has_tag(0, "raises-exception"));
        assert_eq!((notebook.kind(0), notebook.kind(1)), (CellKind::Markdown, CellKind::Code));
    }

    #[test]
    fn old_results_do_not_survive_and_unknown_metadata_does() {
        let mut notebook = Notebook::parse(SMALL).unwrap();
        notebook.clear();
        assert_eq!((notebook.execution_count(1), notebook.outputs(1)), (None, &[][..]));
        let text = notebook.text();
        assert!(text.contains("\"mine\": 1") && !text.contains("old"), "{text}");
    }

    #[test]
    fn texts_are_written_line_by_line_and_json_as_it_is() {
        let mut notebook = Notebook::parse(SMALL).unwrap();
        let data = json!({"text/plain": "a\nb", "application/json": {"z": "1\n2", "a": 1}});
        let output = json!({"output_type": "display_data", "metadata": {}, "data": data});
        notebook.set_results(1, Some(3), vec![output]);
        let written: Value = serde_json::from_str(&notebook.text()).unwrap();
        let data = &written["cells"][1]["outputs"][0]["data"];
        assert_eq!(data["text/plain"], json!(["a\n", "b"]));
        assert_eq!(data["application/json"].to_string(), r#"{"z":"1\n2","a":1}"#);
        assert_eq!(written["cells"][1]["source"], json!(["1 + 1\n", "2"]));
        assert_eq!(written["cells"][1]["execution_count"], json!(3));
    }

    #[test]
    fn other_formats_and_other_files_are_refused_in_words() {
        let problem = |text| Notebook::parse(text).err().unwrap();
        assert!(problem("{}").contains("`nbformat` is missing"));
        assert!(problem(r#"{"nbformat": 3, "worksheets": []}"#).contains("format 3"));
        assert!(problem("hello").contains("not a notebook"));
    }
}
