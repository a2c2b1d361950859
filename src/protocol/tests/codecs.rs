//! What is written is what is read, and nothing else is: frames, stream bodies, journals, invitations, claims.

use proptest::{prelude::*, sample::select};
use protocol::{
    Digest, Epoch, StepNumber, TaskId, VERSION,
    frame::{
        Answer, CancelReason, FrameError, Invitation, Key, MAX_FRAME, ToLaunchAgent, ToTaskAgent, Wanted,
        decode, encode,
    },
    http::{AgentProgram, Claimed},
    journal::{self, MAX_RECORD, Record, TaskEvent},
    marks::{Mark, Marks},
    repository::Method,
    status::{Outcome, StepStatus},
    stream::{self, Chunk, Item, MAX_CHUNK, StreamError},
    transfer::{Content, Writer},
};
use std::path::PathBuf;
use uuid::Uuid;

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        any::<String>().prop_map(|path| Wanted::StoreArtifact { path }),
        any::<String>().prop_map(|key| Wanted::SaveCache { key }),
        any::<String>().prop_map(|key| Wanted::FindCache { key }),
        any::<Vec<String>>().prop_map(|keys| Wanted::RestoreCache { keys }),
        any::<u32>().prop_map(|index| Wanted::AttachLayer { index }),
        select(vec![
            Wanted::StoreTestResults,
            Wanted::PersistLayer,
            Wanted::LendFile,
            Wanted::FetchSource,
            Wanted::FormerTests,
            Wanted::ContinuePipeline,
            Wanted::TakeMirror { method: Method::Full },
            Wanted::KeepMirror { method: Method::Shallow { depth: 2 } },
        ]),
    ]
}

fn to_launch_agent() -> impl Strategy<Value = ToLaunchAgent> {
    let hello = any::<(u32, String, [bool; 4])>();
    let hello = hello.prop_map(|(version, key, [holds_task, begun, follows, notes_times])| {
        ToLaunchAgent::Hello { version, key: Key(key), holds_task, begun, follows, notes_times }
    });
    let request = (any::<u64>(), wanted());
    let request = request.prop_map(|(request, wanted)| ToLaunchAgent::Request { request, wanted });
    prop_oneof![hello, Just(ToLaunchAgent::Progress), request]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        any::<u64>().prop_map(|size| Answer::Stored { size }),
        any::<u64>().prop_map(|size| Answer::Source { size }),
        any::<u64>().prop_map(|size| Answer::FormerTests { size }),
        any::<u64>().prop_map(|size| Answer::Mirror { size }),
        any::<(String, u64)>().prop_map(|(key, size)| Answer::Cache { key, size }),
        any::<(String, u64, Option<u32>)>().prop_map(|(job, size, writer)| {
            let writer = writer.map(|job| Writer { job, index: 1, over: vec![0, 2] });
            Answer::Layer { job, size, writer }
        }),
        any::<String>().prop_map(|message| Answer::Refused { message }),
        any::<(u16, String)>().prop_map(|(status, body)| Answer::Reply { status, body }),
        select(vec![Answer::AlreadySaved, Answer::NoCache, Answer::NoLayer, Answer::NoMirror, Answer::Lent]),
    ]
}

fn to_task_agent() -> impl Strategy<Value = ToTaskAgent> {
    use CancelReason::{Canceled, Fenced, MaxRunTime, Shutdown};
    let reason = select(vec![Canceled, Fenced, MaxRunTime, Shutdown]);
    let step = || any::<u32>().prop_map(StepNumber);
    prop_oneof![
        any::<u32>().prop_map(|version| ToTaskAgent::Task { version }),
        step().prop_map(|first| ToTaskAgent::StepLogs { first }),
        select(vec![ToTaskAgent::Begin, ToTaskAgent::Times]),
        (step(), any::<u64>()).prop_map(|(step, offset)| ToTaskAgent::Acknowledged { step, offset }),
        any::<(u64, u64)>().prop_map(|(request, bytes)| ToTaskAgent::Sent { request, bytes }),
        (any::<u64>(), answer()).prop_map(|(request, answer)| ToTaskAgent::Answer { request, answer }),
        (reason, any::<u64>()).prop_map(|(why, grace_ms)| ToTaskAgent::Cancel { why, grace_ms }),
    ]
}

fn task_event() -> impl Strategy<Value = TaskEvent> {
    use StepStatus::{Canceled, Failed, Skipped, Success, Timedout};
    let step = || any::<u32>().prop_map(StepNumber);
    let status = select(vec![Success, Failed, Canceled, Timedout, Skipped]);
    let ended = (step(), status, any::<(Option<i32>, u64, u64)>());
    let ended = ended.prop_map(|(step, status, (exit_code, duration_ms, log_bytes))| TaskEvent::StepEnded {
        step,
        status,
        exit_code,
        duration_ms,
        log_bytes,
    });
    let outcome = select(vec![Outcome::Success, Outcome::Failed, Outcome::InfrastructureFail]);
    let over = outcome.prop_map(|outcome| TaskEvent::Ended { outcome });
    prop_oneof![step().prop_map(|step| TaskEvent::StepStarted { step }), ended, over]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let records = prop::collection::vec((any::<i64>(), task_event()), 0..20);
    records.prop_map(|records| {
        let record = |(seq, (at_ms, event))| Record { seq, at_ms, event };
        (0..).zip(records).map(record).collect()
    })
}

/// Of the first, of the last, and of a byte between.
fn marks(length: u32) -> Marks {
    let mut marks = Marks::default();
    for (offset, ms) in [(0, 0), (length / 2, length), (length - 1, u32::MAX)] {
        marks.push(Mark { offset: offset.into(), ms });
    }
    marks
}

fn item() -> impl Strategy<Value = Item> {
    let most = u32::try_from(MAX_CHUNK).expect("it fits");
    let chunk = (any::<u32>(), any::<u64>(), 1..=most, any::<Vec<u8>>());
    let log = chunk.prop_map(|(step, offset, length, frame)| Item::Log {
        chunk: Chunk { step: StepNumber(step), offset, length },
        marks: marks(length),
        frame,
    });
    let record = (any::<(u64, i64)>(), task_event());
    let record = record.prop_map(|((seq, at_ms), event)| Item::Record(Record { seq, at_ms, event }));
    prop_oneof![log, record]
}

fn claimed() -> impl Strategy<Value = Claimed> {
    let text = || any::<(String, String, String)>();
    (text(), text(), any::<(u128, u64, u64, u64, [u8; 32])>()).prop_map(
        |((task_token, agent_version, allocation), (url, ..), (task, epoch, lease_ms, size, digest))| {
            Claimed {
                task_token,
                agent_version,
                resource_class: "namespace/name".parse().expect("it is a name"),
                allocation,
                task_id: TaskId(Uuid::from_u128(task)),
                epoch: Epoch(epoch),
                lease_ms,
                agent: AgentProgram { content: Content { digest: Digest::of_bytes(&digest), size }, url },
                in_containers: lease_ms.is_multiple_of(2),
            }
        },
    )
}

/// A frame is whole or refused by name: at no byte can it be cut, and nothing can follow it.
fn is_refused_unless_whole<T: serde::de::DeserializeOwned>(packet: &[u8], cut: usize, more: &[u8]) -> bool {
    let is_unknown = |packet: &[u8]| matches!(decode::<T>(packet), Err(FrameError::Unknown(_)));
    is_unknown(&packet[..cut % packet.len()]) && is_unknown(&[packet, b"\0", more].concat())
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(to: bool, one in to_launch_agent(), other in to_task_agent()) {
        match to {
            true => prop_assert_eq!(decode::<ToLaunchAgent>(&encode(&one).unwrap()).unwrap(), one),
            false => prop_assert_eq!(decode::<ToTaskAgent>(&encode(&other).unwrap()).unwrap(), other),
        }
    }

    #[test]
    fn a_frame_that_was_cut_or_goes_on_is_none(
        one in to_launch_agent(), other in to_task_agent(), cut: usize, more: Vec<u8>,
    ) {
        prop_assert!(is_refused_unless_whole::<ToLaunchAgent>(&encode(&one).unwrap(), cut, &more));
        prop_assert!(is_refused_unless_whole::<ToTaskAgent>(&encode(&other).unwrap(), cut, &more));
    }

    #[test]
    fn a_frame_is_never_written_longer_than_it_may_be_read(length in MAX_FRAME - 100..MAX_FRAME + 100) {
        match encode(&ToLaunchAgent::Request { request: 1, wanted: Wanted::SaveCache { key: "k".repeat(length) } }) {
            Ok(packet) => prop_assert!(decode::<ToLaunchAgent>(&packet).is_ok()),
            Err(error) => prop_assert!(matches!(error, FrameError::TooLong(bytes) if bytes > MAX_FRAME)),
        }
    }

    #[test]
    fn a_body_is_read_as_it_was_written(items in prop::collection::vec(item(), 0..8)) {
        let mut body = Vec::new();
        items.iter().for_each(|item| stream::encode(item, &mut body));
        prop_assert_eq!(stream::decode(&body), Ok(items));
    }

    #[test]
    fn a_body_that_was_cut_is_torn_where_its_last_item_begins(items in prop::collection::vec(item(), 1..6), cut: usize) {
        let (mut body, mut begins) = (Vec::new(), vec![]);
        for item in &items {
            begins.push(body.len());
            stream::encode(item, &mut body);
        }
        let cut = cut % body.len();
        let whole = begins.iter().filter(|begin| **begin <= cut).count() - 1;
        match stream::decode(&body[..cut]) {
            Ok(read) => prop_assert!(begins.contains(&cut) && read == items[..whole]),
            Err(error) => prop_assert_eq!(error, StreamError::Torn(begins[whole])),
        }
    }

    #[test]
    fn bytes_after_a_record_are_refused(record in records(), more in prop::collection::vec(any::<u8>(), 1..9)) {
        for record in record {
            let mut body = Vec::new();
            stream::encode(&Item::Record(record), &mut body);
            let length = u32::from_be_bytes(body[..4].try_into().unwrap()) + u32::try_from(more.len()).unwrap();
            body[..4].copy_from_slice(&length.to_be_bytes());
            body.extend(&more);
            prop_assert_eq!(stream::decode(&body), Err(StreamError::Surplus(0)));
        }
    }

    #[test]
    fn a_journal_is_read_up_to_where_it_is_whole_and_no_further(
        records in records(), garbage: Vec<u8>, cut: usize, from in 0..30_usize,
    ) {
        let lines: Vec<_> = records.iter().map(Record::to_line).collect();
        let text = lines.concat();
        prop_assert!(lines.iter().all(|line| line.len() <= MAX_RECORD));
        prop_assert_eq!(journal::read(text.as_bytes()), (records.clone(), text.len()));
        // Hostile bytes behind it take nothing away and add no record.
        let hostile = [text.as_bytes(), b"{", &garbage].concat();
        prop_assert_eq!(journal::read(&hostile), (records.clone(), text.len()));
        let half = &text.as_bytes()[..cut % (text.len() + 1)];
        let (read, used) = journal::read(half);
        prop_assert_eq!(&read[..], &records[..read.len()]);
        prop_assert!(used <= half.len() && !half[used..].contains(&b'\n'));
        // Read in two goes it is the same.
        let from = from.min(records.len());
        let begin = lines[..from].concat().len();
        let rest = journal::read_from(&text.as_bytes()[begin..], from as u64).0;
        prop_assert_eq!(&rest[..], &records[from..]);
    }

    #[test]
    fn an_invitation_is_read_as_it_was_written(words: [String; 3], numbers: (u64, u64, Option<u64>)) {
        let [socket, key, root] = words;
        let invitation = Invitation {
            version: VERSION,
            socket: socket.into(),
            key: Key(key),
            working_directory: Some(PathBuf::from(&root)),
            root: root.into(),
            outlive_ms: numbers.2,
            max_spool: numbers.0,
            spool_wait_ms: numbers.1,
            terminal: false,
        };
        let line = serde_json::to_string(&invitation).unwrap();
        prop_assert!(!line.contains('\n'), "it is one line");
        prop_assert_eq!(serde_json::from_str::<Invitation>(&line).unwrap(), invitation);
    }

    #[test]
    fn a_claim_is_read_as_it_was_written_and_never_half(claimed in claimed(), cut: usize) {
        let text = serde_json::to_vec(&claimed).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Claimed>(&text).unwrap(), claimed);
        prop_assert!(serde_json::from_slice::<Claimed>(&text[..cut % text.len()]).is_err());
    }

    #[test]
    fn no_bytes_are_too_hostile_to_be_read(bytes: Vec<u8>) {
        let _ = decode::<ToLaunchAgent>(&bytes);
        let _ = decode::<ToTaskAgent>(&bytes);
        let _ = stream::decode(&bytes);
        let _ = serde_json::from_slice::<Invitation>(&bytes);
        let _ = serde_json::from_slice::<Claimed>(&bytes);
        prop_assert!(journal::read(&bytes).1 <= bytes.len());
    }
}
