//! `packaging/kubernetes` without a cluster: the manifests against the schemas of Kubernetes' API, and what these leave open.

/// The hook that writes a Secret.
mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use certcollectd::config::file::{Source, read};
use serde_json::{Value, json};

/// What an API server of 1.29 knows about these kinds; `tests/data/kubernetes/reduce.jq` says where it comes from.
const API: &str = include_str!("../../data/kubernetes/v1.29.json");

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes")
}

fn text(name: &str) -> String {
    let path = dir().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The objects of a file; a key that stands there twice is an error.
fn objects(text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| error.to_string())
}

fn names_of_manifests() -> Vec<String> {
    let entries = std::fs::read_dir(dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    names
}

struct Api(Schemas, Compiler);

impl Api {
    fn read() -> Api {
        let mut compiler = Compiler::new();
        compiler.add_resource("api.json", serde_json::from_str(API).unwrap()).unwrap();
        Api(Schemas::new(), compiler)
    }

    fn check(&mut self, text: &str) -> Result<(), String> {
        for object in objects(text)? {
            let of = |key| object[key].as_str().unwrap_or_default();
            let group = match of("apiVersion") {
                "v1" => "core.v1",
                "apps/v1" => "apps.v1",
                "rbac.authorization.k8s.io/v1" => "rbac.v1",
                other => return Err(format!("no such apiVersion here: {other:?}")),
            };
            let location = format!("api.json#/$defs/io.k8s.api.{group}.{}", of("kind"));
            let schema = self.1.compile(&location, &mut self.0).map_err(|error| format!("{error:#}"))?;
            self.0.validate(&object, schema).map_err(|error| format!("{}: {error:#}", of("kind")))?;
        }
        Ok(())
    }
}

#[test]
fn the_manifests_are_what_the_api_takes() {
    let mut api = Api::read();
    for name in names_of_manifests() {
        assert_eq!(api.check(&text(&name)), Ok(()), "{name}");
    }
}

#[test]
fn a_mistake_in_a_manifest_is_found() {
    let mut api = Api::read();
    let sound = text("sidecar.yaml");
    for (right, wrong) in [
        ("readOnlyRootFilesystem", "readOnlyRootFileSystem"),
        ("replicas: 1", "replicas: \"1\""),
        ("drop: [ALL]", "drop: ALL"),
        ("emptyDir: {}", "emptyDir:"),
        ("emptyDir: {}", "emptyDir: { medium: Memory, medium: Memory }"),
        ("  strategy:\n", "  stategy:\n"),
        ("      initContainers:\n", "      initcontainers:\n"),
        ("apiVersion: apps/v1", "apiVersion: apps/v1beta1"),
        ("kind: Service\n", "kind: Servize\n"),
        ("            periodSeconds: 30", "            periodSeconds: 30s"),
        ("  selector:\n    matchLabels:\n      app: web\n", ""),
    ] {
        let broken = sound.replacen(right, wrong, 1);
        assert_ne!(broken, sound, "{right} is there");
        assert!(api.check(&broken).is_err(), "{wrong} is refused");
    }
}

/// All objects of some files, by kind and name.
fn all(files: &[&str]) -> BTreeMap<(String, String), Value> {
    let mut found = BTreeMap::new();
    for object in files.iter().flat_map(|name| objects(&text(name)).unwrap()) {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(found.insert((kind.clone(), name.clone()), object).is_none(), "{kind} {name} is there twice");
    }
    found
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// What the API takes and a cluster would stumble over.
fn check_pods(files: &[&str]) {
    let all = all(files);
    let has =
        |kind: &str, name: &Value| all.contains_key(&(kind.to_owned(), name.as_str().unwrap().to_owned()));
    let mut deployments = 0;
    for ((kind, name), object) in &all {
        if kind == "Service" {
            let labels = &object["spec"]["selector"];
            let is_theirs = |object: &Value| object["spec"]["template"]["metadata"]["labels"] == *labels;
            assert!(all.values().any(is_theirs), "service {name} has pods");
        }
        if kind != "Deployment" {
            continue;
        }
        deployments += 1;
        let spec = &object["spec"];
        assert_eq!(
            (&spec["replicas"], &spec["strategy"]["type"]),
            (&json!(1), &json!("Recreate")),
            "one daemon"
        );
        assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]);
        let pod = &spec["template"]["spec"];
        let user = json!(10001);
        let context = &pod["securityContext"];
        assert_eq!([&context["runAsUser"], &context["runAsGroup"], &context["fsGroup"]], [&user; 3]);
        assert_eq!(context["runAsNonRoot"], json!(true));
        assert_eq!(context["seccompProfile"]["type"], json!("RuntimeDefault"));
        let mut volumes = BTreeSet::new();
        for volume in list(pod, "volumes") {
            volumes.insert(volume["name"].as_str());
            for source in list(&volume["projected"], "sources") {
                for (key, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
                    assert!(source[key].is_null() || has(kind, &source[key]["name"]), "{source}");
                }
            }
            assert!(volume["configMap"].is_null() || has("ConfigMap", &volume["configMap"]["name"]));
            let claim = &volume["persistentVolumeClaim"];
            assert!(claim.is_null() || has("PersistentVolumeClaim", &claim["claimName"]));
        }
        let mut mounted = BTreeSet::new();
        for container in list(pod, "initContainers").chain(list(pod, "containers")) {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], json!(true), "{}", container["name"]);
            assert_eq!(context["allowPrivilegeEscalation"], json!(false), "{}", container["name"]);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{}", container["name"]);
            mounted.extend(list(container, "volumeMounts").map(|mount| mount["name"].as_str()));
            let ports: Vec<&Value> = list(container, "ports").map(|port| &port["name"]).collect();
            let asked = &container["readinessProbe"]["httpGet"]["port"];
            assert!(asked.is_null() || ports.contains(&asked), "{asked}");
        }
        assert_eq!(volumes, mounted, "each volume is mounted, and each mount is a volume");
        let account = &pod["serviceAccountName"];
        assert!(account.is_null() || has("ServiceAccount", account));
    }
    assert_eq!(deployments, 1, "{files:?}");
}

/// A configuration as a manifest has it is one that the daemon takes without a word.
fn check_configuration(file: &str) {
    let map = all(&[file]).remove(&("ConfigMap".to_owned(), "certcollectd".to_owned())).unwrap();
    let text = map["data"]["certcollectd.toml"].as_str().unwrap().to_owned();
    let sources = [Source { path: PathBuf::from("certcollectd.toml"), text }];
    match read(&sources) {
        Ok((_, problems)) => assert!(problems.is_empty(), "{file}: {}", problems.render(&sources, false)),
        Err(problems) => panic!("{file}: {}", problems.render(&sources, false)),
    }
}

#[test]
fn the_sidecar_holds_together() {
    check_pods(&["sidecar.yaml", "secret.yaml"]);
    check_configuration("sidecar.yaml");
}

#[test]
fn the_daemon_that_writes_a_secret_holds_together() {
    check_pods(&["tls-secret.yaml", "secret.yaml"]);
    check_configuration("tls-secret.yaml");
    let all = all(&["tls-secret.yaml", "secret.yaml"]);
    let named = |kind: &str| &all[&(kind.to_owned(), "certcollectd".to_owned())];
    // The one Secret that it may write is the one that its hook writes, and not that of its own password.
    let rules = json!([{
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["www-tls"], "verbs": ["patch", "create"],
    }]);
    assert_eq!(named("Role")["rules"], rules);
    let binding = named("RoleBinding");
    assert_eq!(binding["roleRef"]["name"], named("Role")["metadata"]["name"]);
    assert_eq!(binding["subjects"], json!([{ "kind": "ServiceAccount", "name": "certcollectd" }]));
    assert_eq!(named("Deployment")["spec"]["template"]["spec"]["serviceAccountName"], "certcollectd");
    let configuration = named("ConfigMap")["data"]["certcollectd.toml"].as_str().unwrap();
    let configuration: toml::Table = configuration.parse().unwrap();
    let run = configuration["hook"][0]["run"].as_array().unwrap();
    let run: Vec<&str> = run.iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(run, ["/usr/lib/certcollectd/tls-secret", "www-tls"]);
}

/// Applied as it is, nobody logs in with a password that is none.
#[test]
fn the_secret_is_shipped_empty() {
    let secret = all(&["secret.yaml"]).remove(&("Secret".to_owned(), "certcollectd".to_owned())).unwrap();
    assert_eq!(secret["stringData"], json!({ "password": "", "www.key": "" }));
}

/// What docs/kubernetes.md has people type names what the manifests have.
#[test]
fn the_commands_of_the_document_name_what_is_there() {
    let document = std::fs::read_to_string(dir().join("../../docs/kubernetes.md")).unwrap();
    let all = all(&["sidecar.yaml", "secret.yaml"]);
    let mut found = 0;
    for command in document.lines().filter_map(|line| line.strip_prefix("kubectl ")) {
        found += 1;
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["create", "secret", "generic", "certcollectd", ref files @ ..] => {
                let secret = &all[&("Secret".to_owned(), "certcollectd".to_owned())]["stringData"];
                let keys: Vec<String> =
                    secret.as_object().unwrap().keys().map(|key| format!("--from-file={key}")).collect();
                assert_eq!(files, keys);
            }
            ["apply", "-f", path] => assert!(dir().join("../..").join(path).is_file(), "{path}"),
            ["exec", deployment, "--container", container, "--", "certcollectd", ..] => {
                let name = deployment.strip_prefix("deployment/").unwrap();
                let pod = &all[&("Deployment".to_owned(), name.to_owned())]["spec"]["template"]["spec"];
                assert!(list(pod, "initContainers").any(|found| found["name"] == container), "{container}");
            }
            _ => panic!("what does `kubectl {command}` name?"),
        }
    }
    assert!(found >= 3, "{found} commands");
}
