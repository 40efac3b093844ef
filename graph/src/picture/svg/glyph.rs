//! The signs of the states, told apart by shape alone, drawn about the origin in a circle of 7 px.
//!
//! `currentColor` is the state's colour; what stands out from a filled sign is in the box's own colour.

use super::State;

const INK: &str = "fill=\"none\" stroke=\"currentColor\" stroke-linecap=\"round\" stroke-linejoin=\"round\"";
const CUT: &str = "fill=\"none\" style=\"stroke:var(--b-bg)\" stroke-linecap=\"round\" stroke-linejoin=\"round\" stroke-width=\"1.7\"";

/// The sign of a state.
pub(super) fn of(state: &State) -> String {
    match state {
        State::Idle => format!("<circle r=\"4\" {INK}/>"),
        State::Waiting => {
            format!("<circle r=\"5.5\" {INK} stroke-width=\"1.5\" stroke-dasharray=\".1 3.356\"/>")
        }
        State::Running => running(),
        State::Done { changed: true, .. } => {
            format!("<circle r=\"6.5\" fill=\"currentColor\"/><path d=\"M-2.9.2l2.1 2.2L3-2.1\" {CUT}/>")
        }
        State::Done { changed: false, .. } => format!(
            "<circle r=\"6\" {INK} stroke-width=\"1.3\"/><path d=\"M-2.9.2l2.1 2.2L3-2.1\" {INK} stroke-width=\"1.5\"/>"
        ),
        State::Reused => format!(
            "<circle r=\"6\" {INK} stroke-width=\"1.3\"/><path d=\"M-2.7-1.5h5.4M-2.7 1.5h5.4\" {INK} stroke-width=\"1.5\"/>"
        ),
        State::Taken => {
            "<path d=\"M0-6.2L6.2 0 0 6.2-6.2 0z\" fill=\"currentColor\" stroke=\"currentColor\" \
             stroke-linejoin=\"round\"/>"
                .to_owned()
        }
        State::Failed { .. } => format!(
            "<path d=\"M-2.7-6.5h5.4l3.8 3.8v5.4l-3.8 3.8h-5.4l-3.8-3.8v-5.4z\" fill=\"currentColor\"/>\
             <path d=\"M-2.3-2.3l4.6 4.6m0-4.6l-4.6 4.6\" {CUT}/>"
        ),
        State::Skipped => {
            format!(
                "<circle r=\"5.5\" {INK} stroke-width=\"1.3\"/><path d=\"M-3.9 3.9L3.9-3.9\" {INK} stroke-width=\"1.3\"/>"
            )
        }
        State::Stale => format!(
            "<circle r=\"6\" {INK} stroke-width=\"1.3\"/><path d=\"M0-3.2V0l2.3 1.7\" {INK} stroke-width=\"1.4\"/>"
        ),
    }
}

/// Drawn in place and not through `<use>`, so that it can turn.
pub(super) fn running() -> String {
    format!(
        "<circle r=\"6\" {INK} stroke-width=\"1.6\" stroke-opacity=\".25\"/>\
         <path class=\"spin\" d=\"M0-6A6 6 0 0 1 6 0\" {INK} stroke-width=\"1.8\"/>"
    )
}

/// The mark of an added node.
pub(super) fn added() -> String {
    format!("<path d=\"M-3 0h6M0-3v6\" {CUT}/>")
}

/// The mark of a changed node: a small delta.
pub(super) fn changed() -> String {
    format!("<path d=\"M0-3.2L3.3 2.5h-6.6z\" {CUT}/>")
}
