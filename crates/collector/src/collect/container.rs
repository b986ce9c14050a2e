//! The image and the pod of the container that a process runs in. They are read from its cgroup, and
//! from the files that the container runtime keeps on the host. Nothing in the container's own root
//! is opened: its owner may be hostile.

use platform::read_guarded;
use serde_json::Value;
use snapshot::Process;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Here containerd keeps a folder for each of its namespaces, and in it one for each container.
const CONTAINERD: &str = "/run/containerd/io.containerd.runtime.v2.task";
/// Here Docker keeps a folder for each container.
const DOCKER: &str = "/var/lib/docker/containers";
/// Here Podman and CRI-O keep a file about all containers, and a folder for each.
const STORAGE: [&str; 2] = [
    "/var/lib/containers/storage/overlay-containers",
    "/run/containers/storage/overlay-containers",
];

/// Longer names, in bytes, are ignored: they would leave no room in the record.
const LONGEST: usize = 400;

/// What is known of a container besides its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its image: `docker.io/library/nginx:1.27`.
    pub(crate) image: Option<String>,
    /// Its Kubernetes pod: `NAMESPACE/NAME` if a file of the runtime says so, else the uid of the
    /// pod.
    pub(crate) pod: Option<String>,
}

impl Container {
    /// The container of a process. Both fields are `None` if it runs in none.
    pub(crate) fn of(process: &Process) -> Self {
        let found = process
            .container
            .as_deref()
            .map(on_host)
            .unwrap_or_default();
        let cgroup = process.file("cgroup").unwrap_or_default();
        found.or(Self {
            image: None,
            pod: in_cgroup(&String::from_utf8_lossy(cgroup)),
        })
    }

    /// Fills what is not known from `other`.
    fn or(self, other: Self) -> Self {
        Self {
            image: self.image.or(other.image),
            pod: self.pod.or(other.pod),
        }
    }
}

/// The uid of the outermost pod in the paths of `/proc/PID/cgroup`.
fn in_cgroup(text: &str) -> Option<String> {
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/')).find_map(pod_in)
}

/// The uid of the pod that a folder of the cgroup tree belongs to. Kubernetes calls the folder
/// `podUID`, or with systemd `kubepods-burstable-podUID.slice`, where the uid has underscores for
/// dashes. The uid of a static pod (from a file on the node) has neither.
fn pod_in(part: &str) -> Option<String> {
    let bare = part.strip_suffix(".slice").unwrap_or(part);
    let last = bare
        .rsplit('-')
        .next()
        .filter(|_| bare.starts_with("kubepods-"));
    let uid = last.unwrap_or(bare).strip_prefix("pod")?.replace('_', "-");
    let digits = uid.replace('-', "");
    let is_uid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_uid.then_some(uid)
}

/// What the files of the runtimes say of the container with this id.
fn on_host(id: &str) -> Container {
    let docker = Path::new(DOCKER).join(id).join("config.v2.json");
    let mut found = read(&docker)
        .map(|file| of_docker(&file))
        .unwrap_or_default();
    for file in bundles(id).iter().filter_map(|path| read(path)) {
        found = found.or(of_bundle(&file));
    }
    for folder in STORAGE {
        let all = read(&Path::new(folder).join("containers.json"));
        found = found.or(all.map(|all| of_storage(&all, id)).unwrap_or_default());
    }
    found
}

/// Where the configuration of a container may be (`config.json` of the OCI runtime specification).
fn bundles(id: &str) -> Vec<PathBuf> {
    let spaces = fs::read_dir(CONTAINERD).into_iter().flatten().flatten();
    let in_spaces = spaces.map(|space| space.path().join(id));
    let in_storage = STORAGE
        .iter()
        .map(|folder| Path::new(folder).join(id).join("userdata"));
    let folders = in_spaces.chain(in_storage);
    folders.map(|folder| folder.join("config.json")).collect()
}

/// Reads a JSON file. Returns `None` if it is missing, or if anyone but root could have written it.
fn read(path: &Path) -> Option<Value> {
    let bytes = read_guarded(path).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// A text that is neither empty nor too long.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.filter(|text| text.len() <= LONGEST).map(str::to_owned)
}

/// The text of the first of these keys that has one.
fn first(of: &Value, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| text(&of[*key]))
}

/// The pod in the labels or annotations that Kubernetes' runtimes put on a container.
fn pod_of(labels: &Value) -> Option<String> {
    let name = first(
        labels,
        &["io.kubernetes.pod.name", "io.kubernetes.cri.sandbox-name"],
    )?;
    let space = [
        "io.kubernetes.pod.namespace",
        "io.kubernetes.cri.sandbox-namespace",
    ];
    let space = first(labels, &space);
    Some(space.map_or_else(|| name.clone(), |space| format!("{space}/{name}")))
}

/// Reads Docker's `config.v2.json`.
fn of_docker(file: &Value) -> Container {
    let config = &file["Config"];
    Container {
        image: text(&config["Image"]),
        pod: pod_of(&config["Labels"]),
    }
}

/// Reads the `config.json` of a container.
fn of_bundle(file: &Value) -> Container {
    let notes = &file["annotations"];
    let image = [
        "io.kubernetes.cri.image-name",
        "io.kubernetes.cri-o.ImageName",
        "io.kubernetes.cri-o.Image",
        "nerdctl/image",
    ];
    Container {
        image: first(notes, &image),
        pod: pod_of(notes),
    }
}

/// Reads the list of containers that Podman and CRI-O share (`containers.json`). The facts about a
/// container are JSON within a string of that JSON.
fn of_storage(all: &Value, id: &str) -> Container {
    let mut containers = all.as_array().into_iter().flatten();
    let ours = containers.find(|container| container["id"] == id);
    let said = ours.and_then(|ours| serde_json::from_str(ours["metadata"].as_str()?).ok());
    let said: Value = said.unwrap_or_default();
    Container {
        image: text(&said["image-name"]),
        pod: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const POD: &str = "1f3dc1a4-7a0b-4a7e-9d4f-0d7e0b6c5a21";

    fn pod(path: &str) -> Option<String> {
        in_cgroup(&format!("0::{}\n", path.replace("ID", ID)))
    }

    #[test]
    fn pods_in_the_paths_of_all_runtimes() {
        let slice = POD.replace('-', "_");
        for path in [
            format!("/kubepods/burstable/pod{POD}/ID"),
            format!("/kubepods.slice/kubepods-pod{slice}.slice/crio-ID.scope"),
            format!("/kubepods.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-ID.scope"),
        ] {
            assert_eq!(pod(&path).as_deref(), Some(POD), "{path}");
        }
        let bare = &ID[..32];
        assert_eq!(
            pod(&format!("/kubepods/pod{bare}/ID")).as_deref(),
            Some(bare)
        );
        for path in [
            "/",
            "/system.slice/podman.service",
            "/pod-x",
            "/docker/ID",
            "/machine.slice/libpod-ID.scope/container",
        ] {
            assert_eq!(pod(path), None, "{path}");
        }
    }

    #[test]
    fn files_of_all_runtimes() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let docker = parse(
            r#"{"Name":"/web","Image":"sha256:1","Config":{"Image":"nginx:1.27",
                "Labels":{"io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop"}}}"#,
        );
        let expected = |image: &str, pod: Option<&str>| Container {
            image: Some(image.to_owned()),
            pod: pod.map(str::to_owned),
        };
        assert_eq!(
            of_docker(&docker),
            expected("nginx:1.27", Some("shop/web-0"))
        );
        let containerd = parse(
            r#"{"annotations":{"io.kubernetes.cri.image-name":"docker.io/library/redis:7",
                "io.kubernetes.cri.sandbox-name":"cache","io.kubernetes.cri.sandbox-namespace":"shop"}}"#,
        );
        let redis = expected("docker.io/library/redis:7", Some("shop/cache"));
        assert_eq!(of_bundle(&containerd), redis);
        let crio = parse(
            r#"{"annotations":{"io.kubernetes.cri-o.ImageName":"quay.io/x:1","io.kubernetes.pod.name":"p"}}"#,
        );
        assert_eq!(of_bundle(&crio), expected("quay.io/x:1", Some("p")));
        let podman = format!(
            r#"[{{"id":"a","metadata":"{{}}"}},
                {{"id":"{ID}","metadata":"{{\"image-name\":\"docker.io/library/alpine:3\"}}"}}]"#
        );
        let alpine = expected("docker.io/library/alpine:3", None);
        assert_eq!(of_storage(&parse(&podman), ID), alpine);
    }

    #[test]
    fn what_is_no_such_file_says_nothing() {
        for odd in [
            "null",
            "[]",
            "{}",
            "7",
            r#"{"annotations":[],"Config":"x"}"#,
        ] {
            let odd: Value = serde_json::from_str(odd).unwrap();
            let all = [of_docker(&odd), of_bundle(&odd), of_storage(&odd, ID)];
            assert_eq!(
                all,
                [const {
                    Container {
                        image: None,
                        pod: None,
                    }
                }; 3]
            );
        }
    }
}
