//! The images of the workspace's programs, built without a registry: the base is made of the
//! libraries that the programs are linked with, as this machine has them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cluster::settings::PAUSE_IMAGE;
use crate::{cluster, paths, process, tools};

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const BASE: &str = "localhost/eywa-base";
/// The images for tests, each tagged `dev`.
const NAMES: [&str; 4] = [
    "eywa-operator",
    "eywa-runtime",
    "barista-shop",
    "eywa-redis",
];

struct Image {
    /// The image's name as Kubernetes completes it.
    reference: String,
    containerfile: PathBuf,
    /// What the Containerfile copies: first programs,
    programs: Vec<PathBuf>,
    /// then what they read.
    data: Vec<PathBuf>,
    /// Whether the programs are linked with libraries, which the base brings.
    on_base: bool,
}

/// `cargo xtask images [NAME...]`: builds these images, or all, and loads them into the cluster,
/// if there is one of ours.
pub fn task(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("no image {unknown:?}: there are {}", NAMES.join(", "));
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    tools::ensure(&tools::IMAGES)?;
    let crates: Vec<String> = ["eywa-operator", "eywa-runtime", "barista-shop"]
        .into_iter()
        .filter(|name| wanted(name))
        .map(|name| format!("--package={name}"))
        .collect();
    if !crates.is_empty() {
        process::run(paths::cargo().args(["build", "--release"]).args(crates))?;
    }
    let _lock = paths::lock("images")?;
    for name in NAMES.into_iter().filter(|name| wanted(name)) {
        let archive = ours(name)?.ensure()?;
        let loaded = cluster::load(&archive)?;
        let where_to = if loaded { " (loaded)" } else { "" };
        println!("{name}:dev {}{where_to}", archive.display());
    }
    Ok(())
}

/// The archives that a new cluster starts with: what holds its pods, and what was built before.
pub fn for_new_cluster(bin: &Path) -> Result<Vec<PathBuf>> {
    let _lock = paths::lock("images")?;
    let pause = Image {
        reference: PAUSE_IMAGE.into(),
        containerfile: paths::root().join("tests/cluster/pause/Containerfile"),
        programs: vec![bin.join("pause")],
        data: Vec::new(),
        on_base: false,
    };
    let pause = pause.ensure()?;
    let mut archives: Vec<PathBuf> = fs::read_dir(folder()?)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "tar"))
        .filter(|path| *path != pause && stamp(path).is_ok())
        .collect();
    archives.push(pause);
    Ok(archives)
}

/// What an archive was built from, to tell one from its successor of the same name.
pub fn stamp(archive: &Path) -> Result<String> {
    let file = archive.with_extension("stamp");
    fs::read_to_string(&file).with_context(|| format!("{} has no stamp", archive.display()))
}

fn folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join("cluster/images"))
}

fn ours(name: &str) -> Result<Image> {
    let root = paths::root();
    let image = |containerfile: &str, programs, data| Image {
        reference: format!("docker.io/library/{name}:dev"),
        containerfile: root.join(containerfile),
        programs,
        data,
        on_base: true,
    };
    if name == "eywa-redis" {
        let installed = |program: &str| {
            process::which(program)
                .with_context(|| format!("no {program} (Debian package redis-server)"))
        };
        let programs = vec![installed("redis-server")?, installed("redis-cli")?];
        return Ok(image("tests/cluster/redis/Containerfile", programs, vec![]));
    }
    let containerfile = match name {
        "eywa-operator" => "operator/Containerfile",
        "barista-shop" => "examples/barista/shop/Containerfile",
        _ => "runtime/server/Containerfile",
    };
    let program = paths::target()?.join("release").join(name);
    Ok(image(
        containerfile,
        vec![program],
        vec![CERTIFICATES.into()],
    ))
}

impl Image {
    /// Builds the image's archive unless it is there and made of the same parts.
    fn ensure(&self) -> Result<PathBuf> {
        let folder = folder()?;
        fs::create_dir_all(&folder)?;
        let name = self.reference.rsplit('/').next().unwrap_or_default();
        let archive = folder.join(format!("{}.tar", name.replace(':', "-")));
        let mut parts = vec![self.containerfile.clone()];
        parts.extend(self.programs.iter().chain(&self.data).cloned());
        let libraries = if self.on_base {
            libraries(&self.programs)?
        } else {
            Vec::new()
        };
        parts.extend(libraries.iter().cloned());
        let wanted = paths::fingerprint(&parts)?;
        if archive.is_file() && stamp(&archive).is_ok_and(|is| is == wanted) {
            return Ok(archive);
        }

        let workshop = Workshop::open(folder.join("workshop"))?;
        if self.on_base {
            workshop.base(&libraries)?;
        }
        let context = workshop.folder.join("context");
        fs::create_dir_all(&context)?;
        for file in self.programs.iter().chain(&self.data) {
            let name = file.file_name().context("a file to copy has a name")?;
            fs::copy(file, context.join(name))?;
        }
        workshop.build(&self.reference, &self.containerfile, &context)?;
        let draft = workshop.folder.join("archive.tar");
        workshop.save(&self.reference, &draft)?;
        // The stamp goes first and comes last, so a stamp never speaks for another archive.
        let stamp = archive.with_extension("stamp");
        if stamp.exists() {
            fs::remove_file(&stamp)?;
        }
        fs::rename(draft, &archive)?;
        fs::write(stamp, wanted)?;
        Ok(archive)
    }
}

/// A folder for the time of one build, with the store of buildah in it, apart from the user's.
struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    fn open(folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn buildah(&self) -> Command {
        let mut buildah = Command::new("buildah");
        buildah
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.join("store"))
            .arg("--runroot")
            .arg(self.folder.join("run"));
        buildah
    }

    fn build(&self, reference: &str, containerfile: &Path, context: &Path) -> Result<()> {
        process::feed(
            self.buildah()
                .args([
                    "bud",
                    "--isolation=chroot",
                    "--format=docker",
                    "--pull=false",
                ])
                .arg(format!("--build-arg=BASE={BASE}"))
                .arg(format!("--tag={reference}"))
                .arg("--file")
                .arg(containerfile)
                .arg(context),
            "",
        )
    }

    fn save(&self, reference: &str, archive: &Path) -> Result<()> {
        let target = format!("docker-archive:{}:{reference}", archive.display());
        process::feed(
            self.buildah().args(["push", "--quiet", reference, &target]),
            "",
        )
    }

    /// An image with these libraries where the linker looks for them, and what the C library
    /// reads: an account, and where to look up names.
    fn base(&self, libraries: &[PathBuf]) -> Result<()> {
        let context = self.folder.join("base");
        let write = |path: &str, text: &str| -> Result<()> {
            let path = context.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            Ok(fs::write(path, text)?)
        };
        write("etc/passwd", "nonroot:x:65532:65532::/:/none\n")?;
        write("etc/group", "nonroot:x:65532:\n")?;
        write("etc/nsswitch.conf", "hosts: files dns\n")?;
        for library in libraries {
            let path = context.join(library.strip_prefix("/")?);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(library, path)?;
        }
        let tmp = context.join("tmp");
        fs::create_dir_all(&tmp)?;
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
        let containerfile = self.folder.join("base.Containerfile");
        fs::write(&containerfile, "FROM scratch\nCOPY . /\n")?;
        self.build(BASE, &containerfile, &context)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What is left is removed by the next build.
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// The libraries that these programs are linked with, the linker among them.
fn libraries(programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for program in programs {
        let text = process::read(Command::new("ldd").arg(program))?;
        libraries.extend(
            text.split_whitespace()
                .filter(|word| word.starts_with('/'))
                .map(PathBuf::from),
        );
    }
    libraries.sort();
    libraries.dedup();
    Ok(libraries)
}
