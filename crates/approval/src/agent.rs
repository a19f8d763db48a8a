//! An agent that holds keys: asked which it has, and to sign with one.
//!
//! Source: draft-ietf-sshm-ssh-agent, §3 (messages), and OpenSSH's PROTOCOL.agent.

use std::io::{self, Read, Write};

use ssh_encoding::{Decode, Encode};

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The longest answer that is read: OpenSSH's own limit.
const LONGEST: usize = 256 * 1024;

/// A key that an agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The public key, or a certificate of it, as the protocol writes it.
    pub blob: Vec<u8>,
    /// What its owner calls it.
    pub comment: String,
}

/// The keys that an agent holds.
///
/// # Errors
///
/// It does not answer, or not as the protocol has it.
pub fn identities(agent: &mut (impl Read + Write)) -> io::Result<Vec<Identity>> {
    let answer = ask(agent, &[REQUEST_IDENTITIES])?;
    let mut of = body(&answer, IDENTITIES_ANSWER)?;
    let count = u32::decode(&mut of).map_err(torn)?;
    // Each has at least its two lengths.
    if count as usize > of.len() / 8 {
        return Err(torn("it names more keys than it sent"));
    }
    let mut all = Vec::new();
    for _ in 0..count {
        let blob = Vec::<u8>::decode(&mut of).map_err(torn)?;
        let comment = Vec::<u8>::decode(&mut of).map_err(torn)?;
        all.push(Identity { blob, comment: String::from_utf8_lossy(&comment).into_owned() });
    }
    Ok(all)
}

/// A signature over bytes by the key of this blob, as the protocol writes one.
///
/// # Errors
///
/// It does not answer, does not hold that key, or its owner refused.
pub fn sign(agent: &mut (impl Read + Write), blob: &[u8], bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = vec![SIGN_REQUEST];
    let written = blob.encode(&mut request).and_then(|()| bytes.encode(&mut request));
    written.and_then(|()| 0u32.encode(&mut request)).map_err(torn)?;
    let answer = ask(agent, &request)?;
    let mut of = body(&answer, SIGN_RESPONSE)?;
    Vec::<u8>::decode(&mut of).map_err(torn)
}

fn ask(agent: &mut (impl Read + Write), request: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(request.len()).map_err(torn)?;
    agent.write_all(&length.to_be_bytes())?;
    agent.write_all(request)?;
    agent.flush()?;
    let mut length = [0; 4];
    agent.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > LONGEST {
        return Err(torn("its answer has a length that cannot be"));
    }
    let mut answer = vec![0; length];
    agent.read_exact(&mut answer)?;
    Ok(answer)
}

fn body(answer: &[u8], wanted: u8) -> io::Result<&[u8]> {
    match answer.split_first() {
        Some((kind, body)) if *kind == wanted => Ok(body),
        Some((&FAILURE, _)) => Err(io::Error::other("it refused")),
        _ => Err(torn("it answered something else")),
    }
}

fn torn(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it is asked, and what it will answer.
    struct Agent {
        asked: Vec<u8>,
        answer: io::Cursor<Vec<u8>>,
    }

    impl Agent {
        fn of(body: &[u8]) -> Agent {
            let mut answer = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
            answer.extend_from_slice(body);
            Agent { asked: Vec::new(), answer: io::Cursor::new(answer) }
        }
    }

    impl Read for Agent {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.answer.read(into)
        }
    }

    impl Write for Agent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.asked.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn keys_and_signatures_are_read_and_whatever_else_it_says_is_an_error() {
        let mut body = vec![IDENTITIES_ANSWER, 0, 0, 0, 1];
        b"blob".as_slice().encode(&mut body).unwrap();
        b"ann".as_slice().encode(&mut body).unwrap();
        let mut agent = Agent::of(&body);
        let all = identities(&mut agent).unwrap();
        assert_eq!(all, [Identity { blob: b"blob".to_vec(), comment: "ann".into() }]);
        assert_eq!(agent.asked, [0, 0, 0, 1, REQUEST_IDENTITIES]);
        let refused = sign(&mut Agent::of(&[FAILURE]), b"blob", b"x").unwrap_err();
        assert!(refused.to_string().contains("refused"));
        for body in [&[IDENTITIES_ANSWER, 255, 255, 255, 255][..], &[IDENTITIES_ANSWER], &[99], &[]]
        {
            assert!(identities(&mut Agent::of(body)).is_err(), "{body:?}");
        }
        let long = Agent { asked: Vec::new(), answer: io::Cursor::new(vec![255; 8]) };
        assert!(identities(&mut { long }).is_err());
    }
}
