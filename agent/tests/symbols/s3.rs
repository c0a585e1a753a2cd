//! A store in S3: moto's server is the service, boto3 says what lies there.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Trial;
use trace_agent_core::symbols::fetch::Fetch;
use trace_agent_core::symbols::layout::{Kind, STORED, facts, written};
use trace_agent_core::symbols::remote::{Remote, Variables, wait};
use trace_agent_core::symbols::source::Source;
use trace_agent_core::symbols::store::{Store, StoreError};

use crate::harness::{Built, Outcomes, eventually, limits, reasons, test};
use crate::peers::MOTO;
use crate::server::{Server, absent};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("what was pushed to S3 is listed, read back and fetched", what_was_pushed_is_read_back),
        test("AWS's own SDK makes the same signatures", the_sdk_makes_the_same_signatures),
        test("credentials come from the container's service", credentials_come_from_the_container),
        test("what S3 refuses is said in its own words", what_s3_refuses_is_said_in_its_own_words),
    ]
}

/// The folder of moto's programs, or the reason to skip.
pub(crate) fn programs() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    MOTO.install(target).map_err(|error| format!("{error:#}"))
}

/// A running moto with a bucket `symbols`; it ends with the test.
struct Moto {
    server: Child,
    endpoint: String,
    python: PathBuf,
}

impl Moto {
    fn start() -> Result<Self, String> {
        let programs = programs()?;
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Command::new(programs.join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { server, endpoint: format!("http://{address}"), python: programs.join("python3") };
        eventually("moto listens", || TcpStream::connect(address).ok());
        moto.boto3("s3.create_bucket(Bucket='symbols', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})");
        Ok(moto)
    }

    /// What AWS's own SDK for Python says.
    fn boto3(&self, code: &str) -> String {
        let script = format!(
            "import boto3\ns3 = boto3.client('s3', endpoint_url='{}', region_name='eu-central-1', aws_access_key_id='test', \
             aws_secret_access_key='test')\n{code}",
            self.endpoint
        );
        let output = Command::new(&self.python).args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn variables(&self, other: &[(&str, &str)]) -> Variables {
        let mut set = vec![
            ("AWS_ENDPOINT_URL_S3".to_owned(), self.endpoint.clone()),
            ("AWS_REGION".to_owned(), "eu-central-1".to_owned()),
        ];
        set.extend(other.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Arc::new(move |name| set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

fn store(place: &str, variables: Variables) -> Store {
    Store::open(Source::parse(place, &|_| None).unwrap(), Remote::new(limits(), variables)).unwrap()
}

fn what_was_pushed_is_read_back() -> Outcomes {
    let built = Built::new("s3")?;
    let moto = Moto::start()?;
    // A prefix that needs encoding, in a path, in a query and in XML.
    let place = "s3://symbols/team a+b&c=ü/";
    let variables = moto.variables(&KEYS);
    let store = store(place, variables.clone());
    let put = |name: &str, kind: Kind| {
        let path = built.path(name);
        wait(|| async { store.put(&path, &built.id, &kind).await }).unwrap().unwrap()
    };
    assert!(put("app.debug", Kind::Debuginfo));
    assert!(put("app.stripped", Kind::Executable));
    assert!(!put("app.debug", Kind::Debuginfo), "it is there already");
    let entries = wait(|| async { store.list().await }).unwrap().unwrap();
    let listed: Vec<_> = entries.iter().map(|entry| (&entry.build_id, &entry.kind, entry.bytes)).collect();
    let bytes = |name: &str| std::fs::metadata(built.path(name)).unwrap().len();
    let expected = [
        (&built.id, &Kind::Debuginfo, bytes("app.debug")),
        (&built.id, &Kind::Executable, bytes("app.stripped")),
    ];
    assert_eq!(listed, expected);
    for (entry, name) in entries.iter().zip(["app.debug", "app.stripped"]) {
        let mut file = wait(|| async { store.read(entry).await }).unwrap().unwrap();
        let mut read = Vec::new();
        std::io::Seek::rewind(&mut file).unwrap();
        std::io::Read::read_to_end(&mut file, &mut read).unwrap();
        assert_eq!(read, std::fs::read(built.path(name)).unwrap());
    }
    let known = wait(|| async { store.all_facts(&entries).await }).unwrap().unwrap();
    let names: Vec<_> = known.into_iter().map(|facts| facts.unwrap().name).collect();
    assert_eq!(names, ["app.debug", "app.stripped"]);
    let keys = moto.boto3("for o in s3.list_objects_v2(Bucket='symbols')['Contents']: print(o['Key'])");
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    let mut expected: Vec<String> = STORED[..2]
        .iter()
        .flat_map(|kind| [written(&built.id, kind), facts(&built.id, kind)])
        .map(|name| format!("team a+b&c=ü/{name}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    // And the reader's side.
    let folder = tempfile::tempdir().unwrap();
    let source = Source::parse(place, &|_| None).unwrap();
    let fetch = Fetch::with(vec![source], Some(folder.path()), limits(), variables);
    let found = fetch.debug_file(&built.id).unwrap_or_else(|| panic!("{:?}", fetch.take_log()));
    assert_eq!(std::fs::read(found).unwrap(), built.debug());
    assert_eq!(fetch.file(&built.id, &Kind::Packed), None);
    assert_eq!(reasons(&fetch), Vec::<String>::new());
    Ok(())
}

fn the_sdk_makes_the_same_signatures() -> Outcomes {
    let built = Built::new("signature")?;
    let python = programs()?.join("python3");
    let server = Server::start(|_, stream| absent(stream));
    let set = [
        ("AWS_ENDPOINT_URL", server.url.clone()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "se/cr+et".to_owned()),
        ("AWS_SESSION_TOKEN", "to/ken+==".to_owned()),
    ];
    let store = store(
        "s3://symbols/team a+b&c=ü/~$",
        Arc::new(move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())),
    );
    // A listing, a reading and a writing, none of which comes to anything here.
    assert!(wait(|| async { store.list().await }).unwrap().is_err());
    let path = built.path("app.debug");
    assert!(wait(|| async { store.put(&path, &built.id, &Kind::Debuginfo).await }).unwrap().is_err());
    let heads = server.heads();
    assert_eq!(heads.len(), 3);
    for head in heads {
        let mut again = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/sign_again.py"))
            .args(["AKIDEXAMPLE", "se/cr+et", "to/ken+==", "eu-central-1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        again.stdin.take().unwrap().write_all(head.as_bytes()).unwrap();
        let output = again.wait_with_output().unwrap();
        let signature = String::from_utf8(output.stdout).unwrap();
        assert!(!signature.is_empty() && head.contains(&format!("Signature={}", signature.trim())), "{head}");
    }
    Ok(())
}

fn credentials_come_from_the_container() -> Outcomes {
    let built = Built::new("container")?;
    let moto = Moto::start()?;
    let body = br#"{"AccessKeyId":"test","SecretAccessKey":"test","Token":"session","Expiration":"2100-01-01T00:00:00Z"}"#;
    let service = Server::with("/credentials", body.to_vec());
    let url = format!("{}/credentials", service.url);
    let store = store("s3://symbols", moto.variables(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]));
    let path = built.path("app.debug");
    for new in [true, false] {
        assert_eq!(
            wait(|| async { store.put(&path, &built.id, &Kind::Debuginfo).await }).unwrap().unwrap(),
            new
        );
    }
    assert_eq!(service.count(), 1, "they are asked for once");
    Ok(())
}

fn what_s3_refuses_is_said_in_its_own_words() -> Outcomes {
    let moto = Moto::start()?;
    let list = |place: &str, variables| {
        let store = store(place, variables);
        let listed: Result<_, StoreError> = wait(|| async { store.list().await }).unwrap();
        listed.unwrap_err().to_string()
    };
    let error = list("s3://nothere", moto.variables(&KEYS));
    assert!(error.contains("NoSuchBucket"), "{error}");
    let stranger = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/credentials");
    let error = list("s3://symbols", moto.variables(&[stranger]));
    assert!(error.contains("neither https nor a container's own"), "{error}");
    Ok(())
}
