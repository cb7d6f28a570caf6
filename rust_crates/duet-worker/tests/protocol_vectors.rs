//! The protocol's vectors, which test the Python twin too.

use std::fs;
use std::path::{Path, PathBuf};

use duet_worker::protocol::{Reply, Request};
use serde::Serialize;
use serde_json::Value;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn lines(name: &str) -> Vec<String> {
    let text = fs::read_to_string(testdata(name)).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(!lines.is_empty());
    lines
}

fn assert_same_json(line: &str, message: &impl Serialize) {
    let expected: Value = serde_json::from_str(line).unwrap();
    assert_eq!(expected, serde_json::to_value(message).unwrap());
}

#[test]
fn every_request_round_trips() {
    for line in lines("requests.jsonl") {
        assert_same_json(&line, &Request::decode(line.as_bytes()).unwrap());
    }
}

#[test]
fn every_reply_round_trips() {
    for line in lines("replies.jsonl") {
        assert_same_json(&line, &Reply::decode(line.as_bytes()).unwrap());
    }
}

#[test]
fn every_invalid_request_is_an_error() {
    for line in lines("refused_requests.jsonl") {
        let case: Value = serde_json::from_str(&line).unwrap();
        let request = case["line"].as_str().unwrap();
        assert!(Request::decode(request.as_bytes()).is_err(), "{}: {request}", case["why"]);
    }
}

#[test]
fn a_run_without_keep_is_an_error_as_in_python() {
    assert!(Request::decode(br#"{"op":"run","id":1,"rounds":1,"iterations":1}"#).is_err());
}

#[test]
fn a_count_of_zero_is_an_error() {
    assert!(Request::decode(br#"{"op":"run","id":1,"rounds":0,"iterations":1,"keep":null}"#).is_err());
}

#[test]
fn bytes_that_are_not_utf8_are_an_error() {
    assert!(Request::decode(b"{\"op\":\"verify\",\"id\":1,\"into\":\"\xff\"}").is_err());
}
