//! How wide a text is, without a font.
//!
//! The picture is laid out before any browser sees it, so widths come from a table. The interface font is
//! whatever the user's system has; the table is that of DejaVu Sans, the widest in common use, so that a
//! box is never too narrow, and in most fonts a little air is left. Code fonts are all about 0.602 em wide.

/// Font size of names, in px.
pub(super) const NAME: f64 = 12.0;
/// Font size of types, shapes and times, in px.
pub(super) const META: f64 = 10.5;

const MONO: f64 = 0.602;
/// Ideographs, kana, Hangul and emoji fill one em in every font.
const WIDE: f64 = 1.0;
/// Any other letter outside ASCII.
const OTHER: f64 = 0.66;

/// Advance widths of the characters from space to `~`, in thousandths of an em.
#[rustfmt::skip]
const SANS: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
    636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
    1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
    500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];

/// Which of the picture's two fonts a text is set in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Font {
    /// The interface font at [`NAME`] px.
    Name,
    /// The code font at [`META`] px.
    Meta,
}

/// The width of one line of text in px.
pub(super) fn width(text: &str, font: Font) -> f64 {
    text.chars().map(|it| advance(it, font)).sum()
}

/// The text, cut at its end with an ellipsis where it is too wide. Types say most in their beginning.
pub(super) fn cut_end(text: &str, room: f64, font: Font) -> String {
    if width(text, font) <= room {
        return text.to_owned();
    }
    let mut left = room - advance('…', font);
    let kept = text.chars().take_while(|&it| {
        left -= advance(it, font);
        left >= 0.0
    });
    let kept: String = kept.collect();
    format!("{}…", kept.trim_end())
}

/// The text, cut in its middle where it is too wide. Names of one family differ most in their ends.
pub(super) fn cut_middle(text: &str, room: f64, font: Font) -> String {
    if width(text, font) <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut left = room - advance('…', font);
    let (mut head, mut tail) = (0, 0);
    while head + tail < chars.len() {
        // The head grows first and stays the longer: it is where reading begins.
        let at_head = head <= tail;
        let next = if at_head { chars[head] } else { chars[chars.len() - 1 - tail] };
        left -= advance(next, font);
        if left < 0.0 {
            break;
        }
        if at_head {
            head += 1;
        } else {
            tail += 1;
        }
    }
    let head: String = chars[..head].iter().collect();
    let tail: String = chars[chars.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

fn advance(letter: char, font: Font) -> f64 {
    let em = match (letter, font) {
        _ if is_combining(letter) => 0.0,
        _ if is_wide(letter) => WIDE,
        (_, Font::Meta) => MONO,
        (' '..='~', Font::Name) => f64::from(SANS[letter as usize - 32]) / 1000.0,
        ('…', Font::Name) => 1.0,
        (_, Font::Name) => OTHER,
    };
    em * match font {
        Font::Name => NAME,
        Font::Meta => META,
    }
}

fn is_wide(letter: char) -> bool {
    matches!(u32::from(letter),
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE4F
        | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD)
}

fn is_combining(letter: char) -> bool {
    matches!(u32::from(letter), 0x0300..=0x036F | 0x200B..=0x200F | 0x20D0..=0x20FF | 0xFE00..=0xFE0F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_is_left_alone() {
        assert_eq!(cut_end("Series", 200.0, Font::Meta), "Series");
        assert_eq!(cut_middle("avg_3wk_spend", 200.0, Font::Name), "avg_3wk_spend");
    }

    #[test]
    fn a_cut_text_fits_its_room_and_keeps_what_says_most() {
        let long = "customer_acquisition_cost_by_channel_and_week";
        let cut = cut_middle(long, 160.0, Font::Name);
        assert!(width(&cut, Font::Name) <= 160.0, "{cut}");
        assert!(cut.starts_with("customer") && cut.ends_with("week"), "{cut}");
        let cut = cut_end("HashMap<String, Vec<(i64, f64)>>", 100.0, Font::Meta);
        assert!(width(&cut, Font::Meta) <= 100.0 && cut.starts_with("HashMap<"), "{cut}");
    }

    #[test]
    fn no_room_at_all_still_gives_a_text() {
        assert_eq!(cut_end("abc", 0.0, Font::Meta), "…");
        assert_eq!(cut_middle("abc", -5.0, Font::Name), "…");
        assert_eq!(cut_middle("", 0.0, Font::Name), "");
    }

    #[test]
    fn wide_letters_count_double_and_accents_nothing() {
        assert_eq!(width("売上", Font::Meta), 2.0 * META);
        assert_eq!(width("e\u{301}", Font::Meta), width("e", Font::Meta));
    }
}
