//! The recipes in `deploy/`: each is shown to the tools of those who use it, and what comes out must attach the layer as all others do.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use regex::Regex;
use serde_json::{Value, json};
use trace_agent::native;
use trace_agent::peers::{AWSLAMBDARIC, MOTO};

use crate::cloudwatch::Moto;
use crate::harness::{
    Outcome, Stop, equal, extension, holds, peer, records, run, said, test, tool, trace_agent,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("deploy: all recipes name what the layer holds", all_recipes_name_what_the_layer_holds),
        test("deploy: the function that fails on purpose fails", the_failing_function_fails),
        test("deploy: hadolint accepts the Dockerfile", hadolint_accepts_the_dockerfile),
        test("deploy: cfn-lint accepts the SAM template", cfn_lint_accepts_the_sam_template),
        test("deploy: CDK makes a template that cfn-lint accepts", cdk_makes_a_template),
        test("deploy: osls makes a template that cfn-lint accepts", osls_makes_a_template),
        test("deploy: the Terraform files parse and name what is there", the_terraform_files_parse),
    ]
}

/// For managed runtimes, in `AWS_LAMBDA_EXEC_WRAPPER`.
const WRAPPER: &str = "/opt/trace-agent/wrapper";
/// For `provided.*`, in the function's own `bootstrap` or an image's `ENTRYPOINT`.
const BOOTSTRAP: &str = "/opt/trace-agent/bootstrap";
/// What `cargo layer` makes below `dist/`.
const ZIPS: [&str; 2] = ["trace-agent-layer-x86_64.zip", "trace-agent-layer-aarch64.zip"];
/// All that a function and its extension need.
const ACTIONS: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn all_recipes_name_what_the_layer_holds() -> Outcome {
    let deploy = Path::new(REPOSITORY).join("deploy");
    let native = deploy.join("functions/native/bootstrap");
    equal(
        fs::read_to_string(&native)?,
        format!("#!/bin/sh\nexec {BOOTSTRAP} /var/task/my-program\n"),
        "the native function's bootstrap",
    )?;
    run(Command::new("test").arg("-x").arg(&native))
        .and_then(|output| holds(output.status.success(), "it may not be executed"))?;

    let name = Regex::new(r"/opt/\w[\w./-]*\w|trace-agent-layer-\w+\.zip")?;
    let expected = BTreeSet::from([WRAPPER, BOOTSTRAP, ZIPS[0], ZIPS[1]]);
    for recipe in [
        "container/Dockerfile",
        "sam/template.yaml",
        "terraform/main.tf",
        "cdk/lib/trace-agent-layer.js",
        "serverless/serverless.yml",
    ] {
        let text = fs::read_to_string(deploy.join(recipe))?;
        let names: BTreeSet<&str> = name.find_iter(&text).map(|found| found.as_str()).collect();
        equal(names, expected.clone(), recipe)?;
    }
    Ok(())
}

fn the_failing_function_fails() -> Outcome {
    let python = peer(AWSLAMBDARIC)?.join("python3");
    let folder = tempfile::tempdir()?;
    copy(&Path::new(REPOSITORY).join("deploy/functions/python"), folder.path())?;
    let sink = folder.path().join("records");
    let invoke = |event: &str| {
        run(trace_agent(folder.path())
            .args(["local", "--extension", extension(), "--event", event, "--sink"])
            .arg(format!("file:{}", sink.display()))
            .arg("--handler-cmd")
            .arg(format!("'{}' -m awslambdaric app.handler", python.display())))
    };
    let output = invoke(r#"{"price": 2, "quantity": 3}"#)?;
    equal(String::from_utf8_lossy(&output.stdout).trim(), r#"{"total": 6}"#, "the answer to an order")?;
    invoke("{}")?;
    let records = records(&sink)?;
    equal(records.len(), 1, "records")?;
    equal(&records[0]["errorType"], &json!("KeyError"), "its type")?;
    equal(&records[0]["errorMessage"], &json!("'price'"), "its message")?;
    equal(&records[0]["culprit"]["function"], &json!("total"), "where it failed")
}

fn hadolint_accepts_the_dockerfile() -> Outcome {
    let hadolint = peer(MOTO)?.join("hadolint");
    accepted(Command::new(hadolint).arg("deploy/container/Dockerfile").current_dir(REPOSITORY))
}

fn cfn_lint_accepts_the_sam_template() -> Outcome {
    let tree = Tree::new()?;
    let template = tree.deploy().join("sam/template.yaml");
    accepted(Command::new(peer(MOTO)?.join("cfn-lint")).arg(&template))?;
    let template = read_template(&template)?;
    for uri in resources(&template, "").filter_map(|(_, resource)| {
        let properties = &resource["Properties"];
        properties["CodeUri"].as_str().or(properties["ContentUri"].as_str())
    }) {
        let path = tree.deploy().join("sam").join(uri);
        holds(path.exists(), format!("{} is not there", path.display()))?;
    }
    attached(&template)
}

fn cdk_makes_a_template() -> Outcome {
    let tree = Tree::new()?;
    let folder = tree.deploy().join("cdk");
    let modules = npm("cdk", &folder)?;
    let configuration: Value = serde_json::from_str(&fs::read_to_string(folder.join("cdk.json"))?)?;
    for (architecture, zip) in ["x86_64", "arm64"].into_iter().zip(ZIPS) {
        let out = folder.join(architecture);
        // What its own command would hand to the program.
        let mut context = configuration["context"].clone();
        context["architecture"] = json!(architecture);
        let mut app = Command::new("node");
        app.arg("bin/app.js").current_dir(&folder).env("NODE_PATH", &modules).env("CDK_OUTDIR", &out);
        app.env("CDK_CONTEXT_JSON", context.to_string());
        let template = out.join("TraceAgent.template.json");
        if architecture == "x86_64" {
            accepted(&mut app)?;
            lint_generated(&template)?;
        } else {
            // CDK's own rules take ten seconds and do not know one architecture from the other.
            accepted(app.env("CDK_VALIDATION", "false"))?;
        }
        let template: Value = serde_json::from_slice(&fs::read(template)?)?;
        attached(&template)?;
        let layers: Vec<_> = resources(&template, "::LayerVersion").collect();
        equal(layers.len(), 1, "layers of one architecture")?;
        let layer = &layers[0].1["Properties"];
        equal(&layer["CompatibleArchitectures"], &json!([architecture]), "its layer")?;
        // An asset is named after what it holds.
        let assets: Value = serde_json::from_slice(&fs::read(out.join("TraceAgent.assets.json"))?)?;
        let key = layer["Content"]["S3Key"].as_str().unwrap_or_default();
        let source = &assets["files"][key.trim_end_matches(".zip")]["source"];
        let file = out.join(source["path"].as_str().unwrap_or_default());
        equal(fs::read_to_string(file).unwrap_or_default(), zip, "the file of its layer")?;
    }
    Ok(())
}

fn osls_makes_a_template() -> Outcome {
    let modules = npm("osls", &Path::new(REPOSITORY).join("tests/peers/osls"))?;
    let tree = Tree::new()?;
    let folder = tree.deploy().join("serverless");
    // It asks CloudFormation whether the layers are there already.
    let moto = Moto::start()?;
    accepted(
        Command::new("node")
            .arg(modules.join("osls/bin/serverless.js"))
            .args(["package", "--stage", "test"])
            .current_dir(&folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", tree.folder.path())
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .env("AWS_ENDPOINT_URL", &moto.endpoint),
    )?;
    let template = folder.join(".serverless/cloudformation-template-update-stack.json");
    lint_generated(&template)?;
    attached(&read_template(&template)?)
}

/// Without the provider there is no schema. So this shows that the files can be read, that each reference leads somewhere, and that the layer is
/// attached; whether the arguments are the provider's is not known.
fn the_terraform_files_parse() -> Outcome {
    let folder = Path::new(REPOSITORY).join("deploy/terraform");
    if tool("terraform").is_ok() {
        accepted(Command::new("terraform").args(["fmt", "-check", "-diff"]).current_dir(&folder))?;
    }
    let module = tempfile::tempdir()?;
    let file = module.path().join("all.tf");
    let mut text = String::new();
    for part in ["versions.tf", "variables.tf", "main.tf", "outputs.tf"] {
        text += &fs::read_to_string(folder.join(part))?;
    }
    fs::write(&file, text)?;
    let output = run(Command::new(peer(MOTO)?.join("hcl2tojson"))
        .args(["--strip-string-quotes", "--no-explicit-blocks"])
        .arg(&file))?;
    holds(output.status.success(), said(&output))?;
    let module: Value = serde_json::from_slice(&output.stdout)?;

    let mut declared = BTreeSet::new();
    for (kind, prefix, depth) in
        [("resource", "", 2), ("data", "data.", 2), ("variable", "var.", 1), ("locals", "local.", 1)]
    {
        for block in module[kind].as_array().into_iter().flatten() {
            declared.extend(names(block, depth).into_iter().map(|name| format!("{prefix}{name}")));
        }
    }
    let mut texts = Vec::new();
    strings(&module, &mut texts);
    let reference = Regex::new(r"\b(data\.\w+\.\w+|var\.\w+|local\.\w+|aws_\w+\.\w+)")?;
    let found: BTreeSet<String> = texts
        .iter()
        .flat_map(|text| reference.find_iter(text))
        .map(|found| found.as_str().to_owned())
        // The word behind `data.` begins like a resource.
        .filter(|found| !declared.contains(&format!("data.{found}")))
        .collect();
    equal(found.difference(&declared).collect::<Vec<_>>(), Vec::<&String>::new(), "references to nothing")?;
    let unused =
        declared.difference(&found).filter(|name| name.starts_with("var.") || name.starts_with("local."));
    equal(unused.collect::<Vec<_>>(), Vec::<&String>::new(), "what nobody uses")?;

    let functions: Vec<&Value> = block(&module, "resource", "aws_lambda_function").collect();
    equal(functions.len(), 2, "functions")?;
    for function in functions {
        let native = function["runtime"] == "provided.al2023";
        let variables = &function["environment"][0]["variables"];
        let wrapper = if native { Value::Null } else { json!(WRAPPER) };
        equal(&variables["AWS_LAMBDA_EXEC_WRAPPER"], &wrapper, "the wrapper")?;
        let group = "${aws_cloudwatch_log_group.this.name}";
        equal(&variables["TRACE_AGENT_LOG_GROUP"], &json!(group), "the extension's group")?;
        equal(&function["logging_config"][0]["log_group"], &json!(group), "the function's group")?;
        let layer = "${aws_lambda_layer_version.trace_agent[var.architecture].arn}";
        equal(&function["layers"], &json!([layer]), "its layers")?;
    }
    let statements: Vec<&Value> = block(&module, "data", "aws_iam_policy_document")
        .map(|document| &document["statement"][0])
        .filter(|statement| statement["actions"] != json!(["sts:AssumeRole"]))
        .collect();
    let least = json!({ "actions": ACTIONS, "resources": ["${aws_cloudwatch_log_group.this.arn}:*"] });
    equal(statements, vec![&least], "what the role may")
}

/// All blocks of one type.
fn block<'m>(module: &'m Value, kind: &str, name: &str) -> impl Iterator<Item = &'m Value> {
    let blocks = module[kind].as_array().into_iter().flatten();
    let named = blocks.filter_map(move |block| block.get(name)).filter_map(Value::as_object);
    named.flat_map(serde_json::Map::values)
}

/// The names of an object's members, those of the members below them behind a dot.
fn names(value: &Value, depth: usize) -> Vec<String> {
    let members = value.as_object().into_iter().flatten();
    members
        .flat_map(|(name, below)| match depth {
            1 => vec![name.clone()],
            _ => names(below, depth - 1).iter().map(|more| format!("{name}.{more}")).collect(),
        })
        .collect()
}

/// All that is text in it.
fn strings<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, texts)),
        Value::Object(members) => members.values().for_each(|value| strings(value, texts)),
        _ => {}
    }
}

/// A copy of `deploy/`, with something in place of what is built.
struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new() -> Result<Self, Stop> {
        let folder = tempfile::tempdir()?;
        let tree = Self { folder };
        copy(&Path::new(REPOSITORY).join("deploy"), &tree.deploy())?;
        fs::write(tree.deploy().join("functions/native/my-program"), "a program")?;
        let dist = tree.folder.path().join("dist");
        fs::create_dir(&dist)?;
        for zip in ZIPS.into_iter().chain(["python.zip", "native.zip"]) {
            // No tool opens it; what it holds tells it from the others.
            fs::write(dist.join(zip), zip)?;
        }
        Ok(tree)
    }

    fn deploy(&self) -> PathBuf {
        self.folder.path().join("deploy")
    }
}

/// What the tools leave in a folder that is worked in.
const LEFT: [&str; 5] = ["node_modules", "cdk.out", ".serverless", ".terraform", "layer"];

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT.iter().any(|left| name == *left) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(&name))?;
        } else {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Installs what a folder's lock file names, and gives the folder of the modules, or the reason to skip.
fn npm(name: &str, manifest: &Path) -> Result<PathBuf, Stop> {
    tool("node")?;
    let (target, _) = native::target()?;
    let folder = target.join("peers/npm").join(name);
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let wanted = fs::read_to_string(manifest.join("package-lock.json"))?;
    let installed = folder.join("installed");
    if !fs::read_to_string(&installed).is_ok_and(|versions| versions == wanted) {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(manifest.join(file), folder.join(file))?;
        }
        let output = Command::new("npm")
            .args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--fetch-timeout=15000", "--fetch-retries=1"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|_| Stop::Skip("npm is not installed".to_owned()))?;
        if !output.status.success() {
            return Err(Stop::Skip(format!(
                "npm ci failed; is the registry within reach? {}",
                said(&output)
            )));
        }
        fs::write(installed, wanted)?;
    }
    Ok(folder.join("node_modules"))
}

/// Runs a tool, which must not complain.
fn accepted(command: &mut Command) -> Outcome {
    let output = run(command.stdin(Stdio::null()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    holds(output.status.success(), format!("{command:?}\n{text}{}", said(&output)))
}

/// Both generators write dependencies that are there already, which is all that W3005 says.
fn lint_generated(template: &Path) -> Outcome {
    accepted(
        Command::new(peer(MOTO)?.join("cfn-lint")).args(["--ignore-checks", "W3005", "--"]).arg(template),
    )
}

fn read_template(path: &Path) -> Result<Value, Stop> {
    let script = Path::new(REPOSITORY).join("tests/peers/template.py");
    let output = run(Command::new(peer(MOTO)?.join("python3")).arg(script).arg(path))?;
    holds(output.status.success(), said(&output))?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The resources whose type ends with this, with their names.
fn resources<'t>(template: &'t Value, ending: &str) -> impl Iterator<Item = (&'t String, &'t Value)> {
    let all = template["Resources"].as_object().into_iter().flatten();
    all.filter(move |(_, resource)| resource["Type"].as_str().is_some_and(|kind| kind.ends_with(ending)))
}

/// Fails unless a template has both functions, each with the layer and whatever its runtime needs for it, and no more rights than that takes.
fn attached(template: &Value) -> Outcome {
    let layers: BTreeSet<&str> =
        resources(template, "::LayerVersion").map(|(name, _)| name.as_str()).collect();
    let mut runtimes = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for (name, function) in resources(template, "::Function") {
        let properties = &function["Properties"];
        let runtime = properties["Runtime"].as_str().unwrap_or_default();
        runtimes.insert(runtime);
        let variables = &properties["Environment"]["Variables"];
        let wrapper = if runtime.starts_with("provided") { Value::Null } else { json!(WRAPPER) };
        equal(&variables["AWS_LAMBDA_EXEC_WRAPPER"], &wrapper, name)?;

        equal(properties["Layers"].as_array().map(Vec::len), Some(1), name)?;
        let named = references(&properties["Layers"]);
        holds(!named.is_empty() && named.is_subset(&layers), format!("{name} has the layers {named:?}"))?;

        let group = variables["TRACE_AGENT_LOG_GROUP"]["Ref"].as_str().unwrap_or_default();
        let properties_of_group = &template["Resources"][group]["Properties"];
        let retention = &properties_of_group["RetentionInDays"];
        holds(
            retention.is_u64() || retention["Ref"].is_string(),
            format!("{name}: {group} keeps all for ever"),
        )?;
        match properties["LoggingConfig"]["LogGroup"]["Ref"].as_str() {
            Some(own) => equal(own, group, "the function's group")?,
            None => {
                let function = properties["FunctionName"].as_str().unwrap_or_default();
                let default = json!(format!("/aws/lambda/{function}"));
                equal(&properties_of_group["LogGroupName"], &default, "the function's group")?;
            }
        }
        groups.insert(group);
    }
    equal(runtimes, BTreeSet::from(["provided.al2023", "python3.13"]), "runtimes")?;

    let mut granted = BTreeSet::new();
    for (name, role) in resources(template, "AWS::IAM::Role") {
        equal(&role["Properties"]["ManagedPolicyArns"], &Value::Null, name)?;
        for policy in role["Properties"]["Policies"].as_array().into_iter().flatten() {
            granted.extend(statements(&policy["PolicyDocument"])?);
        }
    }
    for (_, policy) in resources(template, "AWS::IAM::Policy") {
        granted.extend(statements(&policy["Properties"]["PolicyDocument"])?);
    }
    equal(granted, groups, "the groups that may be written to")
}

/// The names behind each `Ref`.
fn references(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(to) if name == "Ref" => BTreeSet::from([to.as_str()]),
                _ => references(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

/// The log groups that a policy lets its holder write to; it may let nothing else.
fn statements(document: &Value) -> Result<Vec<&str>, Stop> {
    let mut groups = Vec::new();
    for statement in document["Statement"].as_array().into_iter().flatten() {
        equal(&statement["Effect"], &json!("Allow"), "a statement")?;
        equal(&statement["Action"], &json!(ACTIONS), "what is allowed")?;
        let resource = &statement["Resource"];
        for resource in resource.as_array().map_or(std::slice::from_ref(resource), Vec::as_slice) {
            let arn = &resource["Fn::GetAtt"];
            equal(&arn[1], &json!("Arn"), "where it is allowed")?;
            groups.push(arn[0].as_str().unwrap_or_default());
        }
    }
    Ok(groups)
}
