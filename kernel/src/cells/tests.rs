//! Cells against the real evcxr, without an image: what processes say to each other and survive.
//!
//! evcxr needs seconds to start, so one story runs through one process. evcxr's own child serves as the
//! worker. The stories need the `brooklet` executable beside the test; without it they say so.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::process::locked;
use super::*;

/// A worker without an image: evcxr's own child, with the part of the kernel that reads its output.
#[derive(Default)]
struct Worker {
    child: Mutex<Option<Running>>,
    printed: Mutex<String>,
    forgotten: AtomicUsize,
}

struct Running {
    child: Child,
    to_child: ChildStdin,
    from_child: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    fn kill(&self) {
        locked(&self.child).take();
    }

    fn take_printed(&self) -> String {
        std::mem::take(&mut *locked(&self.printed))
    }
}

impl Host for Worker {
    fn load_and_run(&self, library: &Path, function: &str) -> HostReply {
        let mut child = locked(&self.child);
        let running = child.get_or_insert_with(|| {
            let mut child = Command::new(executable().unwrap())
                .env("EVCXR_IS_RUNTIME", "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let (to_child, from_child) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            Running { child, to_child, from_child: BufReader::new(from_child) }
        });
        let _ = writeln!(running.to_child, "LOAD_AND_RUN {} {function}", library.display());
        let mut control_lines = Vec::new();
        for line in running.from_child.by_ref().lines() {
            match line.unwrap() {
                line if line == "EVCXR_EXECUTION_COMPLETE" => {
                    return HostReply { control_lines, died: false };
                }
                line if line.starts_with("EVCXR_") => control_lines.push(line),
                line => {
                    let mut printed = locked(&self.printed);
                    printed.push_str(&line);
                    printed.push('\n');
                }
            }
        }
        *child = None;
        HostReply { control_lines, died: true }
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.kill();
    }
}

fn executable() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("BROOKLET_TEST_EXECUTABLE") {
        return Some(path.into());
    }
    let test = std::env::current_exe().ok()?;
    let beside = test.parent()?.parent()?.join("brooklet");
    beside.exists().then_some(beside)
}

/// Cells and their worker, or `None` where there is no executable.
struct Story {
    cells: Arc<Cells>,
    worker: Arc<Worker>,
    notices: Mutex<Vec<Notice>>,
}

impl Story {
    fn begin() -> Option<Story> {
        let Some(executable) = executable() else {
            eprintln!("not run: no `brooklet` executable beside this test; `cargo build` makes it");
            return None;
        };
        let worker = Arc::new(Worker::default());
        let config = CellsConfig {
            executable,
            directory: std::env::temp_dir(),
            externs: vec!["brooklet".to_owned(), "polars".to_owned()],
            prelude: "use std::collections::BTreeMap;".to_owned(),
            generation: "generation".to_owned(),
            ..CellsConfig::default()
        };
        let cells = Arc::new(Cells::new(config, worker.clone()));
        Some(Story { cells, worker, notices: Mutex::default() })
    }

    /// Evaluates and gives what was printed.
    #[track_caller]
    fn run(&self, code: &str) -> Result<String, CellsError> {
        let cell = CellCode { code, original: code, name: "cell [1]" };
        let started = Instant::now();
        let result = self.cells.evaluate(cell, &|notice| locked(&self.notices).push(notice.clone()));
        eprintln!("{:5} ms  {}", started.elapsed().as_millis(), code.lines().next().unwrap_or_default());
        result.map(|_| self.worker.take_printed())
    }

    #[track_caller]
    fn prints(&self, code: &str, expected: &str) {
        match self.run(code) {
            Ok(printed) => assert_eq!(printed, expected),
            Err(error) => panic!("{code}: {error:?}"),
        }
    }

    /// The variables that were told to be lost since the last call.
    fn lost(&self) -> Vec<String> {
        let notices = std::mem::take(&mut *locked(&self.notices));
        notices
            .into_iter()
            .flat_map(|it| match it {
                Notice::Lost { variables, .. } => variables,
                Notice::Progress(_) => Vec::new(),
            })
            .collect()
    }

    fn variables(&self) -> Vec<String> {
        self.cells.variables().into_iter().map(|it| format!("{}: {}", it.name, it.ty)).collect()
    }

    /// Runs a cell on another thread and interrupts it while it compiles.
    fn interrupt(&self, code: &str, after: Duration) -> Result<String, CellsError> {
        thread::scope(|scope| {
            let running = scope.spawn(|| self.run(code));
            thread::sleep(after);
            assert!(self.cells.interrupt_compile());
            running.join().unwrap()
        })
    }
}

#[test]
fn cells_keep_variables_through_panics_errors_interrupts_and_lose_them_by_name_in_deaths() {
    let Some(story) = Story::begin() else { return };

    // Variables persist, with their types; the prelude and `?` are there.
    story.prints("let a = 20; let mut s = String::from(\"x\");", "");
    story.prints("s.push('y'); println!(\"{s} {}\", a + 1);", "xy 21\n");
    assert_eq!(story.variables(), ["a: i32", "s: String"]);
    story.prints("let n: usize = \"7\".parse()?; println!(\"{n}\");", "7\n");
    story.prints("let m = BTreeMap::from([(1, 'c')]); println!(\"{m:?}\");", "{1: 'c'}\n");

    // A failed `?` and a panic keep the other variables; the cell's own ones are not defined.
    story.prints("let bad: i32 = \"q\".parse()?; println!(\"never\");", "");
    story.prints("let worse = 1; if worse == 1 { panic!(\"on purpose\") }", "");
    story.prints("println!(\"{s} {a}\");", "xy 20\n");
    assert!(story.variables().iter().all(|it| !it.starts_with("bad") && !it.starts_with("worse")));

    // A compile error is told at the user's text and changes nothing.
    let Err(CellsError::Compile { diagnostics, sources }) = story.run("let y = 1;\nlet z: String = a + y;")
    else {
        panic!("it must not compile")
    };
    assert_eq!(diagnostics[0].code, "E0308");
    assert_eq!(sources.text(diagnostics[0].labels[0].span), "a + y");
    assert_eq!(sources.line_column(diagnostics[0].labels[0].span).line, 2);

    // Commands: ours, evcxr's, refused ones.
    let Err(CellsError::Refused { hint, .. }) = story.run(":dep polars = \"0.1\"") else { panic!() };
    assert!(hint.unwrap().contains("`polars`"));
    let cell = CellCode { code: ":vars", original: ":vars", name: "cell [2]" };
    let content = story.cells.evaluate(cell, &|_| ()).unwrap().content.unwrap();
    assert!(content.plain().contains("a: i32"), "{content:?}");

    // An interrupt while compiling stops it soon and loses nothing, not even what the cell would have had.
    let before = Instant::now();
    let slow = "fn slow() -> u64 { 1 }\nprintln!(\"never\"); let later = slow();";
    let interrupted = story.interrupt(slow, Duration::from_millis(120));
    assert!(matches!(interrupted, Err(CellsError::Interrupted)), "{interrupted:?}");
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    story.prints("println!(\"{s} {a}\");", "xy 20\n");
    assert!(!story.cells.interrupt_compile(), "nothing is compiling");

    // What completion and inspection know.
    let completions = story.cells.complete("s.trim_st", 9, Duration::from_secs(60));
    assert!(completions.items.iter().any(|it| it.text == "trim_start"), "{completions:?}");
    assert_eq!((completions.start, completions.end), (2, 9));
    let inspected = story.cells.inspect("s.trim_start()", 5, Duration::from_secs(60)).unwrap();
    assert!(inspected.plain().contains("whitespace"), "{inspected:?}");

    // The worker dies in a cell: the variables are named, and the next cell works.
    let forgotten = story.worker.forgotten.load(Ordering::SeqCst);
    let died = story.run("std::process::abort();");
    assert!(matches!(died, Err(CellsError::WorkerDied)), "{died:?}");
    assert_eq!(story.cells.worker_died(), ["a", "m", "n", "s"]);
    assert_eq!(story.lost(), [""; 0]);
    story.prints("let b = 5; println!(\"{b}\");", "5\n");
    assert_eq!(story.worker.forgotten.load(Ordering::SeqCst), forgotten + 1);

    // The worker dies between cells.
    story.worker.kill();
    assert_eq!(story.cells.worker_died(), ["b"]);
    story.prints("let c = 6; println!(\"{c}\");", "6\n");

    // A type that is defined anew takes its variables with it, and no others.
    story.prints("#[derive(Debug)] struct P { x: u8 }\nlet p = P { x: 1 };", "");
    story.prints("#[derive(Debug)] struct P { x: String }\nlet q = P { x: \"a\".into() };", "");
    assert_eq!(story.lost(), ["p"]);
    story.prints("println!(\"{q:?} {c}\");", "P { x: \"a\" } 6\n");

    // `:restart` forgets variables and keeps definitions.
    story.prints("fn twice(x: i32) -> i32 { 2 * x }", "");
    story.prints(":restart\nprintln!(\"{}\", twice(4));", "8\n");
    assert_eq!(story.lost(), ["c", "q"]);

    // `:clear` forgets both, and what every cell starts from is there again.
    story.prints("let d = 1;", "");
    story.prints(":clear\nlet e: BTreeMap<i32, i32> = BTreeMap::new(); println!(\"{}\", e.len());", "0\n");
    assert_eq!(story.lost(), ["d"]);

    // The cells process dies: the next cell starts a new one and names what is lost.
    let pid = story.cells.child().unwrap();
    crate::os::kill_process(pid);
    story.prints("println!(\"back\");", "back\n");
    assert_eq!(story.lost(), ["e"]);
    assert_ne!(story.cells.child(), Some(pid));

    // Nothing is left behind.
    let pid = story.cells.child().unwrap();
    drop(story);
    let deadline = Instant::now() + Duration::from_secs(5);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < deadline, "the cells process is still there");
        thread::sleep(Duration::from_millis(10));
    }
}
