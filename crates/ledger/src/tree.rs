//! The Merkle tree of RFC 6962 over the bodies: a root per checkpoint, and proofs against it.
//!
//! The chain localizes damage and costs nothing to append to; the tree lets somebody who holds only
//! a checkpoint check one entry without seeing the others.

use ring::digest::{Context, SHA256};

use crate::chain::Hash;

/// More missing entries in a row than these are not stated over.
const HOLE_MAX: u64 = 1 << 20;

/// The hash of one body as a leaf.
pub fn leaf(body: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(body);
    Hash::finish(context)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[1]);
    context.update(&left.0);
    context.update(&right.0);
    Hash::finish(context)
}

/// The right edge of a tree: all that is needed to go on appending and to tell the root.
///
/// It holds one hash for each bit that is set in the size, largest subtree first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// From what [`Frontier::peaks`] gave for this size; `None` if the two do not fit.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == peaks.len()).then_some(Frontier { size, peaks })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends one body.
    pub fn push(&mut self, body: &[u8]) {
        self.push_leaf(leaf(body));
    }

    /// Appends one leaf that was hashed before.
    pub fn push_leaf(&mut self, leaf: Hash) {
        let fits = self.push_subtree(leaf, 0);
        debug_assert!(fits, "every size is a multiple of one");
    }

    /// Appends a complete subtree of 2^`height` leaves.
    ///
    /// Returns false, and appends nothing, unless the size is a multiple of 2^`height`: a subtree
    /// can only stand where its leaves would have made it.
    #[must_use]
    pub fn push_subtree(&mut self, root: Hash, height: u32) -> bool {
        let leaves = match 1u64.checked_shl(height) {
            Some(leaves) if self.size.is_multiple_of(leaves) => leaves,
            Some(_) | None => return false,
        };
        let mut hash = root;
        let mut merges = self.size >> height;
        while merges & 1 == 1 {
            match self.peaks.pop() {
                Some(left) => hash = node(&left, &hash),
                None => break,
            }
            merges >>= 1;
        }
        self.peaks.push(hash);
        self.size += leaves;
        true
    }

    /// Puts a leaf of zeros in the place of each entry that is missing before number `seq`, so that a
    /// later one keeps its place in the tree; false if that is too many: a number can be forged, and
    /// each takes time.
    #[must_use]
    pub fn fill(&mut self, seq: u64) -> bool {
        let missing = seq.saturating_sub(self.size + 1);
        if missing > HOLE_MAX {
            return false;
        }
        (0..missing).for_each(|_| self.push_leaf(Hash::ZERO));
        true
    }

    /// Appends another tree, whose leaves follow on a whole number of its largest subtree's.
    pub fn join(&mut self, part: &Frontier) {
        let mut rest = part.size;
        for peak in &part.peaks {
            let height = 63 - rest.leading_zeros();
            // Fails only behind a hole, which is reported as such.
            let _ = self.push_subtree(*peak, height);
            rest -= 1 << height;
        }
    }

    /// The subtrees of 2^`height` leaves and more, and those behind them, as a tree of their own.
    #[must_use]
    pub fn split(&self, height: u32) -> (Frontier, Frontier) {
        let rest = self.size & ((1 << height) - 1);
        let high = self.size - rest;
        let (first, last) = self.peaks.split_at(high.count_ones() as usize);
        let of = |size, peaks: &[Hash]| Frontier { size, peaks: peaks.to_vec() };
        (of(high, first), of(rest, last))
    }

    /// The peaks as a store keeps them, one behind the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.peaks.iter().flat_map(|peak| peak.0).collect()
    }

    /// From what [`Frontier::to_bytes`] gave for this size; `None` if the two do not fit.
    pub fn from_bytes(size: u64, peaks: &[u8]) -> Option<Self> {
        let peaks: Option<Vec<Hash>> = peaks.chunks(32).map(Hash::from_slice).collect();
        Frontier::from_peaks(size, peaks?)
    }

    /// The root of RFC 6962 §2.1; of the empty tree the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Hash::of(&[]),
            Some(last) => peaks.fold(*last, |right, left| node(left, &right)),
        }
    }
}

/// The root over leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.push_leaf(*leaf));
    frontier.root()
}

/// The proof that leaf `index` (from 0) is among `leaves`: RFC 6962 §2.1.1, nearest sibling first.
///
/// `None` if there is no such leaf.
pub fn prove_inclusion(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
    let (mut proof, sibling) = match index.checked_sub(left.len()) {
        None => (prove_inclusion(left, index)?, root(right)),
        Some(index) => (prove_inclusion(right, index)?, root(left)),
    };
    proof.push(sibling);
    Some(proof)
}

/// A tree of which many proofs are asked for. What stands before its first leaf may be known by the roots
/// of its subtrees alone.
#[derive(Debug, Clone)]
pub struct Tree {
    size: u64,
    /// Complete subtrees by height, then place; nothing where too little is known.
    levels: Vec<Vec<Option<Hash>>>,
}

impl Tree {
    /// The tree of what is before, and of leaves behind it.
    pub fn new(before: &Frontier, leaves: Vec<Hash>) -> Tree {
        let size = before.size + leaves.len() as u64;
        let mut known = std::collections::HashMap::new();
        let mut rest = before.size;
        for peak in &before.peaks {
            let height = 63 - rest.leading_zeros();
            known.insert((height, (before.size - rest) >> height), *peak);
            rest -= 1 << height;
        }
        let unknown = std::iter::repeat_n(None, usize::try_from(before.size).unwrap_or(0));
        let mut levels: Vec<Vec<Option<Hash>>> =
            vec![unknown.chain(leaves.into_iter().map(Some)).collect()];
        let mut height = 0;
        while let Some(below) = levels.last_mut() {
            for ((_, place), peak) in known.iter().filter(|((at, _), _)| *at == height) {
                let place = usize::try_from(*place).ok().and_then(|place| below.get_mut(place));
                if let Some(place) = place {
                    *place = Some(*peak);
                }
            }
            if below.len() < 2 {
                break;
            }
            let above = below.chunks_exact(2).map(|pair| Some(node(&pair[0]?, &pair[1]?)));
            let above: Vec<Option<Hash>> = above.collect();
            levels.push(above);
            height += 1;
        }
        Tree { size, levels }
    }

    /// Its root; nothing where too little is known.
    pub fn root(&self) -> Option<Hash> {
        match self.size {
            0 => Some(Hash::of(&[])),
            size => self.part(0, size),
        }
    }

    /// The proof that leaf `index` (from 0) is in it, nearest sibling first; nothing where too little is
    /// known, or there is no such leaf.
    pub fn prove(&self, index: u64) -> Option<Vec<Hash>> {
        let (mut first, mut size, mut siblings) = (0, self.size, Vec::new());
        if index >= size {
            return None;
        }
        while size > 1 {
            let left = split(size);
            if index - first < left {
                siblings.push(self.part(first + left, size - left)?);
                size = left;
            } else {
                siblings.push(self.part(first, left)?);
                (first, size) = (first + left, size - left);
            }
        }
        siblings.reverse();
        Some(siblings)
    }

    /// The root of so many leaves from one on, as the tree divides them.
    fn part(&self, first: u64, size: u64) -> Option<Hash> {
        if size.is_power_of_two() {
            let height = size.trailing_zeros();
            let level = self.levels.get(height as usize)?;
            return *level.get(usize::try_from(first >> height).ok()?)?;
        }
        let left = split(size);
        Some(node(&self.part(first, left)?, &self.part(first + left, size - left)?))
    }
}

/// Whether `proof` shows that `leaf` is number `index` (from 0) in the tree of `size` and `root`.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    fn climb(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
        if size == 1 {
            return proof.is_empty().then_some(*leaf);
        }
        let (sibling, below) = proof.split_last()?;
        let left = split(size);
        Some(if index < left {
            node(&climb(leaf, index, left, below)?, sibling)
        } else {
            node(sibling, &climb(leaf, index - left, size - left, below)?)
        })
    }
    index < size && climb(leaf, index, size, proof).as_ref() == Some(root)
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word by word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Hash::of(&[]),
            1 => leaves[0],
            size => {
                let mut k = 1;
                while k * 2 < size {
                    k *= 2;
                }
                node(&defined(&leaves[..k]), &defined(&leaves[k..]))
            }
        }
    }

    #[test]
    fn the_roots_are_those_of_the_certificate_transparency_test_vectors() {
        let bodies: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut frontier = Frontier::new();
        assert_eq!(
            frontier.root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        bodies.iter().for_each(|body| frontier.push(body));
        assert_eq!(
            frontier.root().to_string(),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    proptest! {
        #[test]
        fn proofs_of_a_tree_are_those_of_the_definition_whatever_is_before(
            size in 1usize..70,
            before in 0usize..70,
        ) {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let before = before.min(size);
            let mut frontier = Frontier::new();
            leaves[..before].iter().for_each(|leaf| frontier.push_leaf(*leaf));
            let tree = Tree::new(&frontier, leaves[before..].to_vec());
            prop_assert_eq!(tree.root(), Some(defined(&leaves)));
            for index in before..size {
                let proof = tree.prove(index as u64);
                prop_assert_eq!(proof, prove_inclusion(&leaves, index));
            }
            prop_assert_eq!(tree.prove(size as u64), None);
        }

        #[test]
        fn complete_subtrees_give_the_same_tree(size in 0usize..70, height in 0u32..4) {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let mut frontier = Frontier::new();
            for part in leaves.chunks(1 << height) {
                if part.len() == 1 << height {
                    prop_assert!(frontier.push_subtree(root(part), height));
                } else {
                    part.iter().for_each(|leaf| frontier.push_leaf(*leaf));
                    prop_assert!(part.len() % 2 == 0 || !frontier.push_subtree(leaves[0], 1));
                }
            }
            prop_assert_eq!(frontier.root(), defined(&leaves));
        }

        #[test]
        fn the_frontier_agrees_with_the_definition(size in 0usize..70) {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            prop_assert_eq!(root(&leaves), defined(&leaves));
            let mut frontier = Frontier::new();
            leaves.iter().for_each(|leaf| frontier.push_leaf(*leaf));
            let again = Frontier::from_peaks(size as u64, frontier.peaks().to_vec());
            prop_assert_eq!(again, Some(frontier));
        }

        #[test]
        fn a_proof_holds_for_its_leaf_and_place_only(size in 1usize..70, pick in any::<prop::sample::Index>()) {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf(&n.to_be_bytes())).collect();
            let index = pick.index(size);
            let root = root(&leaves);
            let proof = prove_inclusion(&leaves, index).expect("the leaf is there");
            let size = size as u64;
            prop_assert!(verify_inclusion(&leaves[index], index as u64, size, &proof, &root));
            prop_assert!(!verify_inclusion(&leaf(b"another"), index as u64, size, &proof, &root));
            for other in (0..size).filter(|other| *other != index as u64) {
                prop_assert!(!verify_inclusion(&leaves[index], other, size, &proof, &root));
            }
            prop_assert!(!verify_inclusion(&leaves[index], size, size, &proof, &root));
        }
    }
}
