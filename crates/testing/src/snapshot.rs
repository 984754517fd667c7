//! What is kept of folded states: bytes that must mean the same for as long as their schema version is the present one.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::{collections::BTreeSet, fmt::Debug, fs, path::Path};

use event_log::Stored;

/// Asserts that the present format makes of `state` the bytes of its golden file, and `state` of these bytes. The file is named
/// after aggregate and schema version: `customer.v1.bin`, and it is the only one of the aggregate in the folder, since snapshots
/// of other versions are never read.
///
/// `state` should be folded from events, and have a value in every field: then also a change of what events make of a state fails here, until the
/// version is raised.
#[track_caller]
pub fn assert_golden_snapshot<A: Stored + Debug + PartialEq>(state: &A, folder: &Path) {
    let format = A::SNAPSHOT.unwrap();
    let prefix = format!("{}.v", A::TYPE);
    let present = format!("{prefix}{}.bin", format.schema_version);
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    assert_eq!(files, BTreeSet::from([present.clone()]));
    let golden = fs::read(folder.join(present)).unwrap();
    assert_eq!(
        (format.encode)(state),
        golden,
        "the format has changed, and its version has not"
    );
    assert_eq!((format.decode)(&golden).as_ref(), Some(state));
}

/// Asserts that a snapshot anywhere in a stream of these events, and the events behind it, make what all the events make.
#[track_caller]
pub fn assert_same_at_every_cut<A: Stored + Debug + PartialEq>(events: &[A::Event]) {
    let format = A::SNAPSHOT.unwrap();
    let whole = A::fold(events);
    for cut in 0..=events.len() {
        let (before, behind) = events.split_at(cut);
        let kept = (format.encode)(&A::fold(before));
        let mut state = (format.decode)(&kept).unwrap();
        for event in behind {
            state.evolve(event);
        }
        assert_eq!(state, whole, "cut behind event {cut}");
    }
}
