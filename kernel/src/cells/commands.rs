//! evcxr's `:commands` at the top of a cell, and what we do about some of them.
//!
//! Most go to evcxr as they are. `:quit` would end the cells process from within, `:restart` brings back
//! variables that are gone, `:clear` forgets the image, and `:dep` of a crate that the image has would make
//! a second, incompatible copy of it: these are seen here first.

/// What a cell asks of us before evcxr sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The first command that is refused, and why.
    pub refused: Option<Refused>,
    /// `:restart`: forget the variables.
    pub restart: bool,
    /// `:clear`: forget everything.
    pub clear: bool,
    /// There are commands that change evcxr's manifest.
    pub touches_manifest: bool,
    /// `:opt` with a level.
    pub opt_level: Option<String>,
    /// Whether there is anything but commands, comments and blank lines.
    pub has_code: bool,
    /// The line of `rest`, from 1, that was moved to the right by [`GUARD`]: it begins with `::`, which evcxr
    /// would take for a command.
    pub guarded_line: Option<usize>,
    /// The cell without the lines that we act on; its lines keep their numbers.
    pub rest: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub message: String,
    pub hint: String,
}

/// What keeps a line from being a command.
pub const GUARD: &str = "/**/";

/// Reads the commands of a cell. `externs` are the crates that cells may use anyway.
pub fn read(code: &str, externs: &[String]) -> Commands {
    let mut commands = Commands::default();
    let mut at_top = true;
    for (index, line) in code.split_inclusive('\n').enumerate() {
        let mut keep = true;
        if at_top {
            match top(line.trim_end_matches(['\n', '\r'])) {
                Top::Skipped => {}
                Top::Code => {
                    (commands.has_code, at_top) = (true, false);
                    if line.trim_start().starts_with(':') {
                        commands.guarded_line = Some(index + 1);
                        commands.rest.push_str(GUARD);
                    }
                }
                Top::Command { name: ":restart", .. } => (commands.restart, keep) = (true, false),
                Top::Command { name: ":clear", .. } => {
                    (commands.clear, commands.touches_manifest, keep) = (true, true, false);
                }
                Top::Command { name, argument } => {
                    commands.touches_manifest |= matches!(name, ":dep" | ":opt" | ":load_config");
                    if name == ":opt" && !argument.is_empty() {
                        commands.opt_level = Some(argument.to_owned());
                    }
                    if commands.refused.is_none() {
                        commands.refused = refuse(name, argument, externs);
                    }
                }
            }
        }
        match keep {
            true => commands.rest.push_str(line),
            false => commands.rest.push('\n'),
        }
    }
    commands
}

/// The code with its commands blanked, but for one that the position is in: to complete Rust, evcxr would
/// carry them out.
pub fn blanked(code: &str, position: usize) -> String {
    let mut blanked = String::with_capacity(code.len());
    let mut at_top = true;
    for line in code.split_inclusive('\n') {
        let start = blanked.len();
        let is_asked_for = (start..=start + line.trim_end().len()).contains(&position);
        match top(line.trim_end_matches(['\n', '\r'])) {
            Top::Command { .. } if at_top && !is_asked_for => {
                blanked.extend(line.bytes().map(|it| if it == b'\n' { '\n' } else { ' ' }));
                continue;
            }
            Top::Code => at_top = false,
            _ => {}
        }
        blanked.push_str(line);
    }
    blanked
}

enum Top<'a> {
    Skipped,
    Code,
    Command { name: &'a str, argument: &'a str },
}

/// A line before the first line of Rust, as evcxr reads it.
fn top(line: &str) -> Top<'_> {
    if line.starts_with('!') || line.starts_with("//") || line.trim().is_empty() {
        return Top::Skipped;
    }
    let line = line.trim_start_matches(' ');
    if !line.starts_with(':') || line.starts_with("::") {
        return Top::Code;
    }
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    Top::Command { name, argument: argument.trim() }
}

fn refuse(name: &str, argument: &str, externs: &[String]) -> Option<Refused> {
    match name {
        ":quit" => Some(Refused {
            message: "`:quit` is not for notebooks".to_owned(),
            hint: "shut the kernel down from the frontend, or use `%restart` to start over".to_owned(),
        }),
        ":dep" => {
            let wanted = argument.split(['=', ' ']).next().unwrap_or_default().replace('-', "_");
            externs.contains(&wanted).then(|| Refused {
                message: format!("`{wanted}` is there already: a cell may `use {wanted}::…` without `:dep`"),
                hint: format!(
                    "a second copy of it would not fit the values of your nodes. Without `:dep` there {}",
                    match externs {
                        [one] => format!("is `{one}`"),
                        _ => format!(
                            "are {}",
                            externs.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
                        ),
                    }
                ),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn externs() -> Vec<String> {
        vec!["brooklet".to_owned(), "polars".to_owned()]
    }

    #[test]
    fn a_crate_of_the_image_is_refused_with_what_there_is() {
        let refused = read(":dep polars = { version = \"0.55\" }\n1", &externs()).refused.unwrap();
        assert_eq!(refused.message, "`polars` is there already: a cell may `use polars::…` without `:dep`");
        assert!(refused.hint.ends_with("Without `:dep` there are `brooklet`, `polars`"), "{}", refused.hint);
    }

    #[test]
    fn other_crates_and_commands_pass() {
        let code = "// first\n\n:dep regex = \"1\"\n:dep polars-arrow\n:vars\nlet a = 1;\n:quit\n";
        let commands = read(code, &externs());
        assert_eq!(commands.refused, None);
        assert_eq!(commands.rest, code);
        assert!(commands.has_code);
        assert!(!read(":vars\n// nothing\n", &[]).has_code);
    }

    #[test]
    fn restart_and_clear_are_ours_and_lines_keep_their_numbers() {
        let commands = read(":restart\n  :clear\nlet a = 1;", &externs());
        assert!(commands.restart && commands.clear);
        assert_eq!(commands.rest, "\n\nlet a = 1;");
    }

    #[test]
    fn commands_are_blanked_byte_for_byte() {
        let code = ":dep größe = \"1\"\n:opt 1\nlet a = 1;\n:vars";
        let blanked = blanked(code, code.len() - 1);
        assert_eq!(blanked, format!("{}\n      \nlet a = 1;\n:vars", " ".repeat(":dep größe = \"1\"".len())));
        assert_eq!(super::blanked(":va", 3), ":va");
    }

    #[test]
    fn a_path_from_the_root_is_no_command() {
        let commands = read("\n::std::process::id();\n:vars", &[]);
        assert_eq!(
            (commands.rest.as_str(), commands.guarded_line),
            ("\n/**/::std::process::id();\n:vars", Some(2))
        );
        assert!(commands.has_code);
        assert_eq!(blanked("::std::mem", 10), "::std::mem");
    }

    #[test]
    fn quit_is_refused() {
        assert!(read(":quit", &[]).refused.unwrap().hint.contains("%restart"));
    }
}
