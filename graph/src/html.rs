//! The one place that makes text safe inside HTML.

/// Text that may stand anywhere in an HTML document, also within a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Other control characters are not allowed in inline SVG, and say nothing in HTML.
            control if control.is_control() && !matches!(control, '\n' | '\t' | '\r') => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_is_defused_and_text_kept() {
        assert_eq!(
            super::escape("a<b> & \"c\"\t'd'\u{1b}é"),
            "a&lt;b&gt; &amp; &quot;c&quot;\t&#39;d&#39; é"
        );
    }
}
