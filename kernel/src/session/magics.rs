//! Every magic, declared once.
//!
//! The grammar, `%help`, completion and inspection all read this table, so a magic cannot be documented
//! in one way and parsed in another. Adding a magic: one entry here, one arm in `session::dispatch`.

/// One magic.
#[derive(Debug)]
pub struct Magic {
    /// Without the percent signs.
    pub name: &'static str,
    pub kind: Kind,
    pub arguments: Arguments,
    pub options: &'static [Opt],
    /// One line, third person.
    pub summary: &'static str,
    /// More lines for `%help NAME`; may be empty.
    pub details: &'static str,
    /// Whole cells that work, one a line.
    pub examples: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `%name`, one line at the top of a cell.
    Line,
    /// `%%name`, takes the whole cell.
    Cell,
}

/// What stands behind the name, options aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    Nothing,
    /// Names of nodes; at least `least` of them.
    Targets {
        least: usize,
    },
    /// Exactly one node.
    Node,
    /// A node, then perhaps a whole number.
    NodeAndNumber,
    /// Files or directories.
    Paths {
        least: usize,
    },
    /// `k=v`, any number.
    Pairs,
    /// At most one word; what it means.
    OneOptional(&'static str),
    /// Exactly one word; what it means.
    One(&'static str),
    /// One of a few words, or nothing.
    Choice(&'static [&'static str]),
    /// The rest of the line as it stands.
    Rest(&'static str),
}

/// One option of a magic.
#[derive(Debug)]
pub struct Opt {
    /// With its dashes.
    pub name: &'static str,
    pub value: OptValue,
    /// Whether it may be given more than once.
    pub repeated: bool,
    pub summary: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptValue {
    Flag,
    Number,
    Node,
    TwoNodes,
    /// Names of nodes, up to the next option; none is for the magic to judge.
    Nodes,
    /// `k=v` where `k` is an input or a node.
    Pair,
    /// `k`, `k=v` or `k=[v, w]` of tags.
    Tag,
    File,
    /// One or more files, up to the next option.
    Files,
    OneOf(&'static [&'static str]),
}

const fn flag(name: &'static str, summary: &'static str) -> Opt {
    Opt { name, value: OptValue::Flag, repeated: false, summary }
}

const fn option(name: &'static str, value: OptValue, summary: &'static str) -> Opt {
    Opt { name, value, repeated: false, summary }
}

const fn repeated(name: &'static str, value: OptValue, summary: &'static str) -> Opt {
    Opt { name, value, repeated: true, summary }
}

const INPUT: Opt = repeated("--input", OptValue::Pair, "a value for an input, for this run only");
const OVERRIDE: Opt = repeated(
    "--override",
    OptValue::Pair,
    "a value in place of what the node would compute, for this run only",
);

pub static MAGICS: &[Magic] = &[
    Magic {
        name: "watch",
        kind: Kind::Line,
        arguments: Arguments::Paths { least: 0 },
        options: &[flag("--allow-overrides", "a function of a later file may replace one of the same name")],
        summary: "Watches transform files, directories or a Cargo package and draws their graph.",
        details: "Each save is compiled in the background; the next cell runs the new code. Alone it lists what is watched.",
        examples: &["%watch transforms/marketing.rs", "%watch --allow-overrides base.rs mine.rs"],
    },
    Magic {
        name: "unwatch",
        kind: Kind::Line,
        arguments: Arguments::Paths { least: 0 },
        options: &[],
        summary: "Stops watching the given paths, or all of them.",
        details: "",
        examples: &["%unwatch transforms/old.rs"],
    },
    Magic {
        name: "config",
        kind: Kind::Line,
        arguments: Arguments::Pairs,
        options: &[],
        summary: "Sets configuration, which may change the graph's shape; alone shows it.",
        details: "A configured name is an input too. `k=` with nothing behind it takes `k` back.",
        examples: &["%config region=us", "%config"],
    },
    Magic {
        name: "input",
        kind: Kind::Line,
        arguments: Arguments::Pairs,
        options: &[],
        summary: "Gives values to inputs; alone shows them.",
        details: "A value is a TOML value or `null`; anything else is a string. Lists become a Series, a path with a known \
                  extension becomes a frame where the consumer takes one. `k=` with nothing behind it takes `k` back.",
        examples: &["%input spend=[10,10,20] start=2024-01-31", "%input sales=data/sales.csv", "%input"],
    },
    Magic {
        name: "run",
        kind: Kind::Line,
        arguments: Arguments::Targets { least: 1 },
        options: &[
            option(
                "--as",
                OptValue::OneOf(&["frame", "dict", "json"]),
                "frame: one column per target; dict: each by itself; json: exact, for machines",
            ),
            option("--rows", OptValue::Number, "shows tables with so many rows of both ends"),
            INPUT,
            OVERRIDE,
            option("--recompute", OptValue::Nodes, "runs these again though their results are kept"),
            flag("--all", "runs everything again that the targets need"),
        ],
        summary: "Runs what the targets need and shows them.",
        details: "One target shows itself; several of equal length make one frame, a column each; else each is shown under its \
                  name. Only what is stale runs.",
        examples: &[
            "%run avg_3wk_spend spend_per_signup",
            "%run total --as json --input a=1 --override fx=1.1",
            "%run total --recompute fx rates",
            "%run total --all",
            "%run summary --rows 100",
        ],
    },
    Magic {
        name: "head",
        kind: Kind::Line,
        arguments: Arguments::NodeAndNumber,
        options: &[INPUT, OVERRIDE],
        summary: "Shows the first rows of a node's value; of a plan no more than these are computed.",
        details: "10 unless told otherwise, 1,000 at most.",
        examples: &["%head summary", "%head summary 50"],
    },
    Magic {
        name: "describe",
        kind: Kind::Line,
        arguments: Arguments::Targets { least: 1 },
        options: &[INPUT, OVERRIDE],
        summary: "Says what the columns hold: values, nulls, distinct, mean, deviation, quantiles.",
        details: "A plan is collected for it.",
        examples: &["%describe summary"],
    },
    Magic {
        name: "dag",
        kind: Kind::Line,
        arguments: Arguments::Targets { least: 0 },
        options: &[
            option("--up", OptValue::Number, "at most so many levels upstream of the targets"),
            option("--down", OptValue::Number, "so many levels downstream of the targets too"),
            option("--around", OptValue::Node, "the neighbourhood of one node"),
            option("--hops", OptValue::Number, "how far `--around` reaches (1)"),
            option("--path", OptValue::TwoNodes, "what lies on a way from one node to another"),
            flag("--lr", "left to right"),
            flag("--tb", "top to bottom"),
            flag("--hide-inputs", "leaves inputs out"),
            flag("--schema", "columns of frames, where known"),
            repeated("--collapse", OptValue::Files, "draws each of these files as one box"),
            option("--as", OptValue::OneOf(&["json", "dot", "mermaid"]), "text instead of a picture"),
            option(
                "-o",
                OptValue::File,
                "writes to a file; its extension says what (svg html dot mmd json txt)",
            ),
        ],
        summary: "Draws the graph, or the part that the targets need.",
        details: "",
        examples: &[
            "%dag",
            "%dag summary --up 2 --hide-inputs",
            "%dag --path spend summary",
            "%dag -o graph.svg",
        ],
    },
    Magic {
        name: "nodes",
        kind: Kind::Line,
        arguments: Arguments::Nothing,
        options: &[
            repeated("--tag", OptValue::Tag, "only nodes with this tag, with this value or one of a list"),
            option("--as", OptValue::OneOf(&["json"]), "a list sorted by name, for machines"),
        ],
        summary: "Lists the nodes: name, type, place, documentation.",
        details: "",
        examples: &["%nodes", "%nodes --tag owner=ds --as json", "%nodes --tag owner --tag region=[us,uk]"],
    },
    Magic {
        name: "source",
        kind: Kind::Line,
        arguments: Arguments::Node,
        options: &[],
        summary: "Shows the code of a node.",
        details: "",
        examples: &["%source spend_mean"],
    },
    Magic {
        name: "check",
        kind: Kind::Line,
        arguments: Arguments::Targets { least: 0 },
        options: &[INPUT, OVERRIDE],
        summary: "Says every problem that a run of the targets would have, and runs nothing.",
        details: "Without targets: of all nodes.",
        examples: &["%check summary"],
    },
    Magic {
        name: "why",
        kind: Kind::Line,
        arguments: Arguments::Node,
        options: &[],
        summary: "Says why a node ran or was reused: which part of its key changed.",
        details: "",
        examples: &["%why spend_mean"],
    },
    Magic {
        name: "diff",
        kind: Kind::Line,
        arguments: Arguments::OneOptional("GIT-REF"),
        options: &[],
        summary: "Shows nodes added, changed and removed against the last run or a commit.",
        details: "",
        examples: &["%diff", "%diff HEAD~1"],
    },
    Magic {
        name: "time",
        kind: Kind::Line,
        arguments: Arguments::Rest("[%MAGIC … | CODE]"),
        options: &[],
        summary: "Times a magic, the rest of the cell, or, alone, shows the last run node by node.",
        details: "`%%time` at the top of a cell does the same for the whole cell.",
        examples: &["%time %run summary", "%time"],
    },
    Magic {
        name: "restart",
        kind: Kind::Line,
        arguments: Arguments::Nothing,
        options: &[],
        summary: "Starts worker and cells afresh: variables go; stored values, watched files, inputs and configuration stay.",
        details: "",
        examples: &["%restart"],
    },
    Magic {
        name: "help",
        kind: Kind::Line,
        arguments: Arguments::OneOptional("TOPIC"),
        options: &[],
        summary: "Explains the magics, or one of them.",
        details: "Topics: any magic, `cells`, `literals`.",
        examples: &["%help", "%help run"],
    },
    Magic {
        name: "cache",
        kind: Kind::Line,
        arguments: Arguments::Rest("[clear [NODE…] | pin NODE… | unpin NODE… | limit [memory=…] [disk=…]]"),
        options: &[],
        summary: "Shows what is kept of the results, in memory and on the disk; clears, pins and limits it.",
        details: "`clear` without names forgets all results. A pinned value stays in memory whatever it takes. Sizes are written \
                  `500MB`, `4GB`.",
        examples: &["%cache", "%cache clear summary", "%cache limit memory=4GB disk=20GB"],
    },
    Magic {
        name: "runs",
        kind: Kind::Line,
        arguments: Arguments::Rest("[N | show [ID] | diff [A [B]] | repeat ID [--all] | clear]"),
        options: &[],
        summary: "Lists past runs, shows one, compares two, or runs one again.",
        details: "A run is named by the beginning of its id, by `last`, or by `last~2`, the second before the last. The records \
                  are lines of JSON in .brooklet/runs. `repeat --all` computes everything again instead of finding it.",
        examples: &["%runs", "%runs show last", "%runs diff last~1 last", "%runs repeat 3fa2c1"],
    },
    Magic {
        name: "live",
        kind: Kind::Line,
        arguments: Arguments::Choice(&["on", "off"]),
        options: &[],
        summary: "Has displays follow the files: a save is enough, no cell need be executed. Alone: what follows.",
        details: "Displays of `%run`, of names and of `%dag` are made anew where they are. Rust cells are marked and never run by \
                  themselves, and neither is a node tagged `#[tag(expensive = \"true\")]`. Without it a save marks what it makes \
                  stale.",
        examples: &["%live on", "%live", "%live off"],
    },
    Magic {
        name: "transform",
        kind: Kind::Cell,
        arguments: Arguments::One("NAME"),
        options: &[option("--write", OptValue::File, "also writes the module to this file")],
        summary: "Makes the cell a transform module, as if it were a watched file NAME.rs.",
        details: "Running the cell again replaces the module. With `--write` the text goes to a file beside the notebook, which is \
                  then watched.",
        examples: &["%%transform marketing"],
    },
    Magic {
        name: "time",
        kind: Kind::Cell,
        arguments: Arguments::Nothing,
        options: &[],
        summary: "Times the whole cell.",
        details: "",
        examples: &[],
    },
];

/// The magic of this name and kind.
pub fn find(name: &str, kind: Kind) -> Option<&'static Magic> {
    MAGICS.iter().find(|it| it.name == name && it.kind == kind)
}

impl Magic {
    /// `%run` or `%%transform`.
    pub fn title(&self) -> String {
        let percent = if self.kind == Kind::Line { "%" } else { "%%" };
        format!("{percent}{}", self.name)
    }

    /// The accepted form, `%run TARGET… [--as frame|dict|json] [--input k=v]…`.
    pub fn usage(&self) -> String {
        let mut usage = self.title();
        let arguments = match self.arguments {
            Arguments::Nothing => String::new(),
            Arguments::Targets { least: 0 } => "[TARGET…]".to_owned(),
            Arguments::Targets { .. } => "TARGET…".to_owned(),
            Arguments::Node => "NODE".to_owned(),
            Arguments::NodeAndNumber => "NODE [N]".to_owned(),
            Arguments::Paths { least: 0 } => "[PATH…]".to_owned(),
            Arguments::Paths { .. } => "PATH…".to_owned(),
            Arguments::Pairs => "[k=v…]".to_owned(),
            Arguments::OneOptional(what) => format!("[{what}]"),
            Arguments::One(what) | Arguments::Rest(what) => what.to_owned(),
            Arguments::Choice(words) => format!("[{}]", words.join("|")),
        };
        if !arguments.is_empty() {
            usage = format!("{usage} {arguments}");
        }
        for option in self.options {
            usage = format!("{usage} [{}]{}", option.form(), if option.repeated { "…" } else { "" });
        }
        usage
    }

    pub fn option(&self, name: &str) -> Option<&'static Opt> {
        self.options.iter().find(|it| it.name == name)
    }
}

impl Opt {
    /// The option with what it takes, `--input k=v`.
    pub fn form(&self) -> String {
        let value = match self.value {
            OptValue::Flag => return self.name.to_owned(),
            OptValue::Number => "N".to_owned(),
            OptValue::Node => "NODE".to_owned(),
            OptValue::Nodes => "NODE…".to_owned(),
            OptValue::TwoNodes => "A B".to_owned(),
            OptValue::Pair => "k=v".to_owned(),
            OptValue::Tag => "k[=v]".to_owned(),
            OptValue::File => "FILE".to_owned(),
            OptValue::Files => "FILE…".to_owned(),
            OptValue::OneOf(words) => words.join("|"),
        };
        format!("{} {value}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_names_every_argument_and_option() {
        assert_eq!(
            find("run", Kind::Line).unwrap().usage(),
            "%run TARGET… [--as frame|dict|json] [--rows N] [--input k=v]… [--override k=v]… [--recompute NODE…] [--all]"
        );
        assert_eq!(find("watch", Kind::Line).unwrap().usage(), "%watch [PATH…] [--allow-overrides]");
        assert_eq!(find("transform", Kind::Cell).unwrap().usage(), "%%transform NAME [--write FILE]");
    }

    #[test]
    fn every_example_is_accepted_by_the_grammar() {
        for magic in MAGICS {
            for example in magic.examples {
                let body = if magic.kind == Kind::Cell { "\npub fn a() -> i64 { 1 }" } else { "" };
                let cell = super::super::grammar::parse(&format!("{example}{body}"));
                assert!(cell.is_ok(), "{example}: {cell:?}");
            }
        }
    }
}
