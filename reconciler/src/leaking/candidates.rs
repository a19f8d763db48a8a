//! What in a text may be a secret: pieces of it, in the forms in which people and programs write one
//! down. Whether one is ours is told by its fingerprint alone.

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};

/// Shorter pieces are none: nothing of ours is that short.
const LEAST: usize = 8;
/// Longer pieces are none.
const MOST: usize = 16 * 1024;
/// So many parts of a run make a piece at most, but for those that reach from its first or to its last.
const PARTS: usize = 12;

/// What ends a piece for sure.
fn is_end(byte: u8) -> bool {
    byte <= b' ' || b"\"'`,;()[]{}<>|".contains(&byte)
}

/// What may end one: it stands in secrets as well.
fn may_end(byte: u8) -> bool {
    b"=:/@&?#\\".contains(&byte)
}

/// Hands out every piece of a line that may be a secret.
pub(crate) fn of_line(line: &[u8], found: &mut impl FnMut(&[u8])) {
    quoted(line, found);
    for run in line.split(|byte| is_end(*byte)) {
        if run.len() >= LEAST {
            of_run(run, found);
        }
    }
}

fn one(piece: &[u8], found: &mut impl FnMut(&[u8])) {
    if !(LEAST..=MOST).contains(&piece.len()) {
        return;
    }
    found(piece);
    // As it stands in a Secret of Kubernetes, or in a header.
    let decoded = BASE64
        .decode(piece)
        .or_else(|_| BASE64URL.decode(piece))
        .or_else(|_| BASE64URL_NOPAD.decode(piece));
    let text = decoded.ok().filter(|bytes| bytes.iter().all(|byte| (9..127).contains(byte)));
    if let Some(text) = text.filter(|text| text.len() >= LEAST) {
        found(&text);
        let trimmed = text.trim_ascii();
        if trimmed.len() != text.len() {
            found(trimmed);
        }
        if let Some(colon) = trimmed.iter().position(|byte| *byte == b':') {
            found(&trimmed[colon + 1..]);
        }
    }
    if piece.contains(&b'%') {
        let plain: Vec<u8> = percent_encoding::percent_decode(piece).collect();
        if plain != piece {
            found(&plain);
        }
    }
}

fn of_run(run: &[u8], found: &mut impl FnMut(&[u8])) {
    one(run, found);
    // A sentence goes on after it.
    let bare = run.trim_ascii_end();
    let bare = match bare {
        [rest @ .., b'.' | b'!' | b'?' | b':'] => rest,
        all => all,
    };
    if bare.len() != run.len() {
        one(bare, found);
    }
    let mut at: Vec<usize> = vec![0];
    let ends = run.iter().enumerate().filter(|(_, byte)| may_end(**byte)).map(|(at, _)| at + 1);
    at.extend(ends);
    if at.len() == 1 {
        return;
    }
    for (first, from) in at.iter().enumerate() {
        // However long a run is, its work is bounded by its length.
        let whole = first <= PARTS || first + PARTS >= at.len();
        let next = at[first + 1..].iter().take(PARTS).map(|next| next - 1);
        for to in next.chain(whole.then_some(run.len())) {
            if to > *from && to - from < run.len() {
                one(&run[*from..to], found);
            }
        }
    }
}

/// What stands between two quotation marks of one kind, as it is and as JSON means it.
fn quoted(line: &[u8], found: &mut impl FnMut(&[u8])) {
    for quote in [b'"', b'\''] {
        let mut from = None;
        let mut escaped = false;
        let mut has_escapes = false;
        for (at, byte) in line.iter().enumerate() {
            if escaped {
                escaped = false;
                continue;
            }
            match (*byte, from) {
                (b'\\', Some(_)) => (escaped, has_escapes) = (true, true),
                (byte, None) if byte == quote => (from, has_escapes) = (Some(at), false),
                (byte, Some(begun)) if byte == quote => {
                    let inner = &line[begun + 1..at];
                    if has_escapes {
                        one(&unescaped(inner), found);
                    }
                    // Without an end within, it is a run as well.
                    if inner.iter().any(|byte| is_end(*byte)) {
                        one(inner, found);
                    }
                    from = None;
                }
                _ => {}
            }
        }
    }
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let quoted = [b"\"".as_slice(), text, b"\""].concat();
    if let Ok(plain) = serde_json::from_slice::<String>(&quoted) {
        return plain.into_bytes();
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match (byte, byte == &b'\\') {
            (_, true) => plain.push(match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(other) => *other,
                None => b'\\',
            }),
            (byte, false) => plain.push(*byte),
        }
    }
    plain
}

/// Keys that span lines: each with the line that it begins at.
pub(crate) fn of_blocks(text: &[u8], mut found: impl FnMut(usize, &[u8])) {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const END: &[u8] = b"-----END ";
    let mut from = 0;
    while let Some(begin) = position(&text[from..], BEGIN).map(|at| from + at) {
        let Some(end) = position(&text[begin..], END).map(|at| begin + at) else { return };
        let rest = &text[end..];
        let Some(close) = position(&rest[END.len()..], b"-----") else { return };
        let stop = end + END.len() + close + 5;
        let block: Vec<u8> =
            text[begin..stop].iter().copied().filter(|byte| *byte != b'\r').collect();
        // As YAML indents it.
        let lines = block.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let plain = lines.collect::<Vec<_>>().join(&b'\n');
        if plain.len() <= MOST {
            let line = 1 + text[..begin].iter().filter(|byte| **byte == b'\n').count();
            found(line, &plain);
            found(line, &[plain.as_slice(), b"\n"].concat());
        }
        from = stop;
    }
}

fn position(text: &[u8], of: &[u8]) -> Option<usize> {
    text.windows(of.len()).position(|some| some == of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finds(line: &str, secret: &str) -> bool {
        let mut is = false;
        of_line(line.as_bytes(), &mut |piece| is |= piece == secret.as_bytes());
        is
    }

    #[test]
    fn a_secret_is_found_in_the_forms_in_which_it_is_written_down() {
        const UUID: &str = "0f6d0c5c-6a8e-4a0f-9f2e-3f0e7a3f2b11";
        const AWS: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY==";
        for secret in [UUID, AWS, "hvs.CAESIJ-_x9", "p@ss:w0rd/with=all?of#it"] {
            let basic = BASE64.encode(format!("user:{secret}").as_bytes());
            for line in [
                secret.to_owned(),
                format!("SECRET_ID={secret}"),
                format!("export SECRET_ID=\"{secret}\";"),
                format!("  secret_id: {secret}  # prod"),
                format!("{{\"secret_id\":\"{secret}\",\"x\":1}}"),
                format!("curl -H 'X-Token: {secret}' https://example.org"),
                format!("the secret is {secret}."),
                format!("data: {{ id: {} }}", BASE64.encode(secret.as_bytes())),
                format!("Authorization: Basic {basic}"),
            ] {
                assert!(finds(&line, secret), "{line}");
            }
        }
        assert!(finds(&format!("postgres://app:{UUID}@db:5432/x?a=b"), UUID));
        // However many parts stand before or after it.
        let long = "a=b&".repeat(40);
        assert!(finds(&format!("https://x/?{long}token={UUID}"), UUID));
        assert!(finds(&format!("https://x/?{long}token={UUID}&{long}"), UUID));
        assert!(finds(&format!("https://x/?{long}token={AWS}"), AWS));
        assert!(finds("url = https://app:pa%2Fss%40word1@db/x", "pa/ss@word1"));
        assert!(finds("password = \"with a blank, and more\"", "with a blank, and more"));
        assert!(finds(r#"{"p":"a\"b\\c\/d e f"}"#, r#"a"b\c/d e f"#));
    }

    #[test]
    fn a_key_of_several_lines_is_found_where_it_begins_however_it_is_indented() {
        const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIB\nAgEA\n-----END PRIVATE KEY-----";
        for text in [
            format!("a\nb\n{KEY}\nc"),
            format!("a\nb\n{}", KEY.replace('\n', "\r\n")),
            format!("a\nkey: |\n  {}\n", KEY.replace('\n', "\n  ")),
        ] {
            let mut at = Vec::new();
            of_blocks(text.as_bytes(), |line, piece| {
                if piece == KEY.as_bytes() {
                    at.push(line);
                }
            });
            assert_eq!(at, [3], "{text}");
        }
        let mut none = true;
        of_blocks(b"-----BEGIN X-----\nno end", |_, _| none = false);
        assert!(none);
        let one_line = format!("KEY=\"{}\"", KEY.replace('\n', "\\n"));
        assert!(finds(&one_line, KEY));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_line_it_comes_to_its_end(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut pieces = 0usize;
            of_line(&line, &mut |_| pieces += 1);
            of_blocks(&line, |_, _| ());
            prop_assert!(pieces < 100_000);
        }
    }
}
