//! Marks through all their forms, and what is none.

use super::*;
use proptest::prelude::*;

/// Of any chunk: distances of at least one, and times that never go back.
fn marks() -> impl Strategy<Value = Marks> {
    prop::collection::vec((0..2000_u64, 0..200_000_u32), 0..400).prop_map(|steps| {
        let (mut marks, mut at) = (Marks::default(), Mark { offset: 0, ms: 0 });
        for (distance, later) in steps {
            at = Mark { offset: at.offset + distance, ms: at.ms + later };
            marks.push(at);
        }
        marks
    })
}

proptest! {
    #[test]
    fn marks_are_read_as_they_were_written_in_each_form(marks in marks()) {
        prop_assert_eq!(Marks::from_bytes(&marks.to_bytes()), Some(marks.clone()));
        let wire = serde_json::to_string(&marks).unwrap();
        prop_assert_eq!(serde_json::from_str::<Marks>(&wire).unwrap(), marks);
    }

    #[test]
    fn a_note_is_read_as_it_was_written(step: u32, offset: u64, ms: u32) {
        let noted = Noted { step: StepNumber(step), mark: Mark { offset, ms } };
        prop_assert_eq!(Noted::from_bytes(&noted.to_bytes()), noted);
    }

    #[test]
    fn any_bytes_and_numbers_are_marks_in_order_or_none(bytes: Vec<u8>, numbers: Vec<u64>) {
        for marks in [Marks::from_bytes(&bytes), Marks::try_from(numbers).ok()].into_iter().flatten() {
            let all: Vec<_> = marks.from_start(0).collect();
            prop_assert!(all.len() <= MAX_MARKS);
            prop_assert!(all.is_sorted_by(|one, next| one.offset < next.offset && one.ms <= next.ms));
        }
    }

    #[test]
    fn the_time_of_a_byte_is_that_of_the_last_mark_before_it(marks in marks(), offset in 0..900_000_u64) {
        let pairs: Vec<_> = marks.from_start(0).map(|mark| (mark.offset, mark.ms)).collect();
        let last = pairs.iter().rev().find(|(marked, _)| *marked <= offset).map(|(_, ms)| *ms);
        let times = LogTimes { marks: pairs, ..LogTimes::default() };
        prop_assert_eq!(times.of(offset), last);
    }
}

#[test]
fn a_full_chunk_of_the_longest_marks_fits_its_header() {
    let mut marks = Marks::default();
    let first = MAX_CHUNK as u64 - MAX_MARKS as u64;
    (first..).take(MAX_MARKS).for_each(|offset| assert!(marks.push(Mark { offset, ms: u32::MAX })));
    assert!(marks.is_full() && !marks.push(Mark { offset: MAX_CHUNK as u64 - 1, ms: u32::MAX }));
    assert!(serde_json::to_string(&marks).unwrap().len() < 48 * 1024);
    // As far apart as they can be, and each much later: that is no longer.
    let mut wide = Marks::default();
    (0..MAX_MARKS as u64)
        .for_each(|at| assert!(wide.push(Mark { offset: at * 512, ms: 2_000_000 * at as u32 })));
    assert!(serde_json::to_string(&wide).unwrap().len() < 48 * 1024);
}

#[test]
fn marks_that_go_back_stand_still_or_are_half_are_refused() {
    for hostile in
        ["[0]", "[0,5,0,6]", "[1,4294967296]", "[1048576,0]", "[18446744073709551615,0,2,0]", "[1,-1]"]
    {
        assert!(serde_json::from_str::<Marks>(hostile).is_err(), "{hostile}");
    }
    let many = vec![1_u64; 2 * (MAX_MARKS + 1)];
    assert!(serde_json::from_str::<Marks>(&serde_json::to_string(&many).unwrap()).is_err());
    assert_eq!(Marks::from_bytes(&[0x80; 6]), None);
}

#[test]
fn a_mark_of_a_steady_trickle_takes_four_bytes() {
    let mut marks = Marks::default();
    (1..=1000).for_each(|at| assert!(marks.push(Mark { offset: at * 300, ms: 100 * at as u32 })));
    assert!(marks.to_bytes().len() <= 4 * 1000, "{} bytes", marks.to_bytes().len());
}
