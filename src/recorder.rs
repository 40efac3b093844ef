//! What is the same in all records of one program's runs.

use std::path::Path;

use brooklet_graph::graph::Graph;
use brooklet_graph::source::Sources;
use brooklet_records::{Book, By, Git, Record, Source, git_state};

use crate::version::Version;

/// Where a program's records go, and what each of them holds.
#[derive(Clone, Debug)]
pub struct Recorder {
    book: Book,
    by: By,
    sources: Vec<Source>,
    graph: String,
    git: Option<Git>,
    lock: String,
    toolchain: String,
}

impl Recorder {
    /// Records go to a `.brooklet` directory. The sources are those that the program was compiled from, each with its
    /// module.
    ///
    /// # Errors
    /// As the system says: no right to write there, no room.
    pub fn new(
        directory: &Path,
        sources: &Sources,
        modules: &[String],
        graph: &Graph,
    ) -> std::io::Result<Recorder> {
        let book = Book::at(directory);
        let mut kept = Vec::new();
        for (file, module) in sources.files.iter().zip(modules) {
            let hash = book.keep_source(&file.text)?;
            kept.push(Source { path: file.path.clone(), module: module.clone(), hash });
        }
        let program = std::env::current_exe()?;
        let bytes = std::fs::read(&program)?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Recorder {
            by: By { kind: "program".to_owned(), name },
            sources: kept,
            graph: book.keep_graph(graph)?,
            git: git_state(Path::new(".")),
            lock: Version::of_bytes(&bytes).hex(),
            toolchain: toolchain_of(&bytes),
            book,
        })
    }

    /// Writes a record, with what is the same in all.
    ///
    /// # Errors
    /// As the system says.
    pub fn add(&self, record: Record) -> std::io::Result<()> {
        self.book.add(&Record {
            by: self.by.clone(),
            sources: self.sources.clone(),
            graph: self.graph.clone(),
            git: self.git.clone(),
            lock: self.lock.clone(),
            toolchain: self.toolchain.clone(),
            brooklet: env!("CARGO_PKG_VERSION").to_owned(),
            ..record
        })
    }
}

/// What `rustc -V` said when the program was compiled: compilers leave it in what they make.
fn toolchain_of(program: &[u8]) -> String {
    const BEFORE: &[u8] = b"rustc version ";
    let at = program.windows(BEFORE.len()).position(|it| it == BEFORE);
    let Some(at) = at else { return String::new() };
    let rest = &program[at + BEFORE.len()..];
    let end = rest.iter().position(|it| !(b' '..=b'~').contains(it)).unwrap_or(rest.len());
    format!("rustc {}", String::from_utf8_lossy(&rest[..end.min(80)]))
}
