"""A Hugging Face Hub on loopback for the real `huggingface_hub`: repositories in memory, and anything can go wrong.

    with Hub({"hf_alice": "alice"}) as hub:
        hub.add("alice/gan", {"config.json": b"{}"})
        hub.faults.append(Fault("GET", "/resolve/", cut=1))
        hf_hub_download("alice/gan", "config.json", endpoint=hub.url)

Models only; no pull requests, no pages, no Xet. Two things differ from huggingface.co on purpose: LFS files come
straight from `/resolve` instead of by a redirect to a CDN, and a 401 has `X-Error-Code: RepoNotFound`, because the
client reads a bare 401 that way only where the address begins with https.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import pytest

LARGE = (".bin", ".ckpt", ".gz", ".npy", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".tar", ".zip")
SWITCHES = {"HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_TELEMETRY": True, "HF_HUB_OFFLINE": False}


class Reply(NamedTuple):
    """An answer before it is sent."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}


class Refusal(Exception):
    """An answer that is an error. The client chooses its exception by `code`."""

    def __init__(self, status: int, message: str = "", code: str = "", **headers: str) -> None:
        message = message or HTTPStatus(status).phrase
        named = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.reply = Reply(json.dumps({"error": message}).encode(), status, named | headers)


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that these regular expressions fit.

    `method` has to match all of the method, `path` some of the path. A request takes the first fault that fits and is
    not used up, so two in a list happen one after the other.
    """

    method: str
    path: str
    _: KW_ONLY
    times: float = 1
    act: Callable[[], object] | None = None  # done first: commit as someone else, sleep
    status: int = 0  # refuse with this status, `code`, `message` and `headers`
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False  # hang up without an answer
    done: bool = False  # what is refused or dropped happens all the same
    cut: int | None = None  # promise the whole body, send so many bytes, hang up
    body: bytes | None = None  # another body, of its own length
    garble: bool = False  # other bytes, as many
    etag: str = ""  # the name of other content
    pause: float = 0  # seconds before each quarter of the body

    def fits(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.method, method) and re.search(self.path, path))

    def spoil(self, reply: Reply) -> Reply:
        if self.status:
            return Refusal(self.status, self.message, self.code, **self.headers).reply
        body = reply.body if self.body is None else self.body
        names = dict.fromkeys(("ETag", "X-Linked-Etag"), f'"{self.etag}"') if self.etag else {}
        return Reply(bytes(255 - b for b in body) if self.garble else body, reply.status, {**reply.headers, **names})


@dataclass
class Repo:
    """One repository: the files of every commit, and the commits that branches and tags name."""

    id: str
    _: KW_ONLY
    private: bool = False
    gated: bool = False
    readers: set[str] = field(default_factory=set)  # whom a gated repository lets in, besides its owner
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)  # by sha256

    def __post_init__(self) -> None:
        self.owner = self.id.split("/")[0]
        self.commit({".gitattributes": "".join(f"*{end} filter=lfs -text\n" for end in LARGE).encode()})

    def commit(self, files: Mapping[str, bytes | None], branch: str = "main") -> str:
        """Add a commit in which these files changed, or went away where None; return its sha."""
        parent = self.branches.get(branch, "")
        changed = sorted({**self.commits.get(parent, {}), **files}.items())
        kept = {path: data for path, data in changed if data is not None}
        names = {path: hashlib.sha256(data).hexdigest() for path, data in kept.items()}
        sha = self.branches[branch] = hashlib.sha1(f"{self.id} {parent} {names}".encode()).hexdigest()
        self.commits[sha] = kept
        self.lfs |= {names[path]: data for path, data in kept.items() if large(path, data)}
        return sha

    def sha(self, rev: str) -> str:
        """Return the commit that a branch, a tag or itself names."""
        names = {sha: sha for sha in self.commits} | self.tags | self.branches
        if rev not in names:
            raise Refusal(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        return names[rev]

    def info(self, rev: str = "main", blobs: bool = False) -> dict[str, Any]:
        """Return what the Hub tells of a commit; the head of its README.md is read as far as scalars and lists go."""
        files = self.commits[sha := self.sha(rev)]
        head = (re.match("---\n.*?\n---", files.get("README.md", b"").decode(), re.S) or [""])[0]
        card: dict[str, Any] = dict(re.findall(r"^(\w+): *(\S.*)$", head, re.M))
        card |= {key: re.findall("- (.+)", lines) for key, lines in re.findall(r"^(\w+):\n((?: *- .+\n)+)", head, re.M)}
        tags = [card.get("library_name"), *card.get("tags", []), "license" in card and f"license:{card['license']}"]
        info: dict[str, Any] = {"id": self.id, "modelId": self.id, "author": self.owner, "sha": sha}
        info |= {"private": self.private, "gated": self.gated and "auto", "disabled": False, "downloads": 0, "likes": 0}
        info |= {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
        info |= dict.fromkeys(("createdAt", "lastModified"), "2026-01-01T00:00:00.000Z")
        siblings = [{"rfilename": path} | (blob(path, data) if blobs else {}) for path, data in files.items()]
        return info | {"tags": [tag for tag in tags if tag], "cardData": card, "siblings": siblings}


def large(path: str, data: bytes, size: int = 0) -> bool:
    """Whether the Hub keeps a file in LFS: by its name, its size, or because it is no text."""
    return bool(data) and (path.endswith(LARGE) or max(size, len(data)) > 10 << 20 or b"\0" in data[:512])


def blob(path: str, data: bytes) -> dict[str, Any]:
    """Return what the Hub tells of a file: its name in git, and of a large one its sha256."""
    if not large(path, data):
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"size": len(data), "oid": oid, "blobId": oid}
    sha256 = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
    lfs = {"oid": sha256, "sha256": sha256, "size": len(data), "pointerSize": len(pointer)}
    return blob("", pointer) | {"size": len(data), "lfs": lfs}


class Hub:
    """The server: what it keeps (`repos`), what it was asked (`requests`), and what is to go wrong (`faults`).

    Args:
        tokens: The user behind each access token. Other tokens are refused; without one a reader is anonymous.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self.tokens = dict(tokens or {})
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []  # method and path
        self.headers: list[Message] = []  # of the same requests
        self.lock = threading.RLock()
        self.server: Server | None = None
        self.port = 0

    def start(self) -> Self:
        """Listen: the second time on the same port."""
        self.server = Server(self)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections, and hang up those that clients keep."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, name: str, files: Mapping[str, bytes] | None = None, **flags: Any) -> Repo:
        """Put a repository there without a request; `flags` are those of `Repo`."""
        self.repos[name] = repo = Repo(name, **flags)
        if files:
            repo.commit(files)
        return repo

    def before(self, method: str, path: str, act: Callable[[], object]) -> None:
        """Do something once, just before the next such request is served."""
        self.faults.append(Fault(method, path, act=act))

    def count(self, method: str, path: str) -> int:
        """Return how many such requests came."""
        return sum(Fault(method, path).fits(*request) for request in self.requests)

    def env(self, cache: Path, token: str = "") -> dict[str, str]:
        """Return what makes another process use this Hub and this cache, and neither proxy nor login of the machine."""
        home = {"HF_HOME": str(cache), "HF_HUB_CACHE": str(cache / "hub"), "HF_TOKEN_PATH": str(cache / "token")}
        direct = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1")
        switches = {name: str(int(on)) for name, on in SWITCHES.items()}
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": token, **home, **direct, **switches}

    def adopt(self, patch: pytest.MonkeyPatch, cache: Path, token: str = "") -> None:
        """Set in this process, where the client has read its environment already, what `env` sets in another."""
        environ = self.env(cache, token)
        for name, text in environ.items():
            patch.setenv(name, text)
        template = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        paths = {name: environ[name] for name in ("HF_HOME", "HF_HUB_CACHE", "HF_TOKEN_PATH")}
        for name, value in {"ENDPOINT": self.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, **paths, **SWITCHES}.items():
            patch.setattr(f"huggingface_hub.constants.{name}", value)
        patch.setattr("huggingface_hub.hf_api.api.endpoint", self.url)

    def take(self, method: str, path: str, headers: Message) -> Fault:
        """Note a request, and return what goes wrong with it."""
        with self.lock:
            self.requests.append((method, path))
            self.headers.append(headers)
            fault = next((f for f in self.faults if f.times > 0 and f.fits(method, path)), Fault("", ""))
            fault.times -= 1
        if fault.act:
            fault.act()
        return fault


class Server(ThreadingHTTPServer):
    """The listening socket and the open connections."""

    daemon_threads, block_on_close, request_queue_size = True, False, 64

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.open: set[Any] = set()
        super().__init__(("127.0.0.1", hub.port), Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self.open):
            with suppress(OSError):  # most have ended
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client may hang up
            super().handle_error(request, client_address)


Serve = Callable[..., Any]
ROUTES: list[tuple[str, re.Pattern[str], Serve]] = []


def route(method: str, path: str) -> Callable[[Serve], Serve]:
    """Serve a path: `{name}` is two of its segments, `{path}` all that follow, anything else in braces is one."""
    forms = {"name": "[^/]+/[^/]+?", "path": ".+"}
    pattern = re.sub(r"{(\w+)}", lambda word: f"(?P<{word[1]}>{forms.get(word[1], '[^/]+')})", path)

    def register(serve: Serve) -> Serve:
        ROUTES.append((method, re.compile(pattern), serve))
        return serve

    return register


class Connection(BaseHTTPRequestHandler):
    """One client's connection: the wire protocol."""

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    server: Server

    def serve(self) -> None:
        self.hub, url = self.server.hub, urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.hub.take(self.command, url.path, self.headers)
        try:
            with self.hub.lock:
                reply = Reply() if (fault.status or fault.drop) and not fault.done else self.answer(url.path)
        except Refusal as refusal:
            reply = refusal.reply
        self.close_connection = fault.drop or fault.cut is not None
        if not fault.drop:
            self.send(fault.spoil(reply), fault.cut, fault.pause)

    do_HEAD = do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

    def send(self, reply: Reply, cut: int | None, pause: float) -> None:
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        body = b"" if self.command == "HEAD" else reply.body[:cut]
        step = len(body) // (4 if pause else 1) + 1
        for start in range(0, len(body), step):
            time.sleep(pause)
            self.wfile.write(body[start : start + step])

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, path: str) -> Reply:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        if "create_pr" in self.query:
            raise Refusal(501, "the Hub of the tests has no pull requests")
        self.user = self.hub.tokens.get(token, "")
        for method, pattern, serve in ROUTES:
            if re.fullmatch(method, self.command) and (match := pattern.fullmatch(path)):
                found = serve(self, **{name: unquote(word) for name, word in match.groupdict().items()})
                return found if isinstance(found, Reply) else Reply(json.dumps(found).encode())
        raise Refusal(404, f"the Hub of the tests has no {self.command} {path}")

    def login(self) -> str:
        if not self.user:
            raise Refusal(401, "Invalid username or password.", "RepoNotFound")
        return self.user

    def repo(self, name: str, write: bool = False) -> Repo:
        """Return a repository that the user may see, or change where `write`."""
        repo = self.hub.repos.get(name)
        hidden = not repo or (repo.private and self.user != repo.owner)
        if hidden or write:
            self.login()
        if not repo or hidden:
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if write and self.user != repo.owner:
            raise Refusal(403, "Authorization error.")
        return repo

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def given(self, name: str, usual: str = "") -> str:
        return self.query.get(name, [usual])[0]

    @route("GET", "/api/whoami-v2")
    def whoami(self) -> Any:
        auth = {"type": "access_token", "accessToken": {"displayName": "tests", "role": "write"}}
        return {"type": "user", "name": self.login(), "fullname": self.user, "orgs": [], "auth": auth}

    @route("POST", "/api/validate-yaml")
    def validate(self) -> Any:
        missing = not self.json["content"].startswith("---\n")
        return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata"}] if missing else []}

    @route("POST", "/api/repos/create")
    def create(self) -> Any:
        name = f"{self.json.get('organization') or self.login()}/{self.json['name']}"
        if not name.startswith(self.login() + "/"):
            raise Refusal(403, f"You don't have the rights to create a model under the namespace of {name}")
        reply = {"url": f"{self.hub.url}/{name}", "name": name}
        if name in self.hub.repos:
            return Reply(json.dumps(reply | {"error": "You already created this model repo"}).encode(), 409)
        self.hub.add(name, private=self.json.get("visibility") == "private")
        return reply

    @route("DELETE", "/api/repos/delete")
    def delete(self) -> Any:
        repo = self.repo(f"{self.json.get('organization') or self.login()}/{self.json['name']}", write=True)
        return self.hub.repos.pop(repo.id).id

    @route("GET", "/api/models")
    def listing(self) -> Any:
        infos = [repo.info() for repo in self.hub.repos.values() if not repo.private or repo.owner == self.user]
        infos = [info for info in infos if self.given("author", info["author"]) == info["author"]]
        infos = [info for info in infos if self.given("search").lower() in info["id"].lower()]
        infos = [info for info in infos if set(self.query.get("filter", [])) <= set(info["tags"])]
        hidden = set() if self.given("full") else {"author", "sha", "siblings", "gated", "disabled", "lastModified"}
        hidden |= set() if self.given("cardData") else {"cardData"}
        infos = [{key: info[key] for key in info if key not in hidden} for info in infos]
        return infos[: int(self.given("limit", "1000"))]

    @route("GET", "/api/models/{name}")
    @route("GET", "/api/models/{name}/revision/{rev}")
    def info(self, name: str, rev: str = "main") -> Any:
        return self.repo(name).info(rev, blobs=self.given("blobs") == "true")

    @route("GET", "/api/models/{name}/tree/{rev}")
    @route("GET", "/api/models/{name}/tree/{rev}/{path}")
    def tree(self, name: str, rev: str, path: str = "") -> Any:
        files = self.repo(name).commits[self.repo(name).sha(rev)]
        nodes = {file: {"type": "file", "path": file, **blob(file, data)} for file, data in files.items()}
        for folder in {str(folder) for file in files for folder in list(PurePosixPath(file).parents)[:-1]}:
            nodes[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
        depth = None if self.given("recursive") == "true" else 1
        found = [nodes[node] for node in nodes if PurePosixPath(path) in list(PurePosixPath(node).parents)[:depth]]
        if path and not found:
            raise Refusal(404, f"{path} does not exist on {rev}", "EntryNotFound")
        return found

    @route("POST", "/api/models/{name}/branch/{branch}")
    def branch(self, name: str, branch: str) -> Any:
        repo = self.repo(name, write=True)
        if branch in repo.branches:
            raise Refusal(409, f"Reference already exists: refs/heads/{branch}")
        repo.branches[branch] = repo.sha(self.json.get("startingPoint", "main"))
        return {}

    @route("POST", "/api/models/{name}/preupload/{rev}")
    def preupload(self, name: str, rev: str) -> Any:
        repo = self.repo(name, write=True)
        here = {path: blob(path, data) for path, data in repo.commits[repo.sha(rev)].items()}
        files = []
        for path, sample, size in ((file["path"], file["sample"], file["size"]) for file in self.json["files"]):
            mode = "lfs" if large(path, base64.b64decode(sample), size) else "regular"
            known = {"oid": here[path].get("lfs", here[path])["oid"]} if path in here else {}
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **known})
        return {"files": files}

    @route("POST", r"/{name}\.git/info/lfs/objects/batch")
    def batch(self, name: str) -> Any:
        repo = self.repo(name, write=True)
        objects = self.json["objects"]
        for wanted in objects:
            if wanted["oid"] not in repo.lfs:
                href = {"href": f"{self.hub.url}/upload/{name}/{wanted['oid']}"}
                wanted["actions"] = {"upload": href, "verify": href}
        return {"transfer": "basic", "objects": objects}

    @route("PUT|POST", "/upload/{name}/{oid}")
    def store(self, name: str, oid: str) -> Any:
        """Take the bytes of an object that have this sha256, or (POST) say whether they came."""
        kept = self.hub.repos[name].lfs
        if self.command == "PUT" and hashlib.sha256(self.body).hexdigest() == oid:
            kept[oid] = self.body
        if oid not in kept:
            raise Refusal(400, "The Content-SHA256 you specified did not match what we received")
        return Reply()

    @route("POST", "/api/models/{name}/commit/{rev}")
    def commit(self, name: str, rev: str) -> Any:
        repo = self.repo(name, write=True)
        head = repo.branches.get(rev)
        if not head:
            raise Refusal(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        files: dict[str, bytes | None] = {}
        for line in map(json.loads, self.body.splitlines()):
            value, path = line["value"], line["value"].get("path", "")
            match line["key"]:
                case "header" if not head.startswith(value.get("parentCommit", head)):
                    raise Refusal(412, "A commit has happened since. Please refresh and try again.")
                case "file":
                    files[path] = base64.b64decode(value["content"])
                case "lfsFile" if value["oid"] in repo.lfs:
                    files[path] = repo.lfs[value["oid"]]
                case "lfsFile":
                    raise Refusal(400, f"LFS pointer pointed to a file that does not exist. Offending file: {path}")
                case "deletedFile" | "deletedFolder":
                    gone = [old for old in repo.commits[head] if old == path or old.startswith(path.rstrip("/") + "/")]
                    if not gone:
                        raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
                    files |= dict.fromkeys(gone)
        sha = repo.commit(files, rev)
        return {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{name}/commit/{sha}"}

    @route("HEAD|GET", "/{name}/resolve/{rev}/{path}")
    def resolve(self, name: str, rev: str, path: str) -> Any:
        repo = self.repo(name)
        if repo.gated and self.user not in {repo.owner, *repo.readers}:
            raise Refusal(403 if self.user else 401, f"Access to model {name} is restricted.", "GatedRepo")
        files = repo.commits[sha := repo.sha(rev)]
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if path not in files:
            raise Refusal(404, "Entry not found", "EntryNotFound", **headers)
        about = blob(path, data := files[path])
        headers["ETag"] = f'"{about.get("lfs", about)["oid"]}"'
        if "lfs" in about:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(data))}
        if not (match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))):
            return Reply(data, 200, headers)
        first, last = int(match[1]), min(int(match[2] or len(data)), len(data) - 1)
        if first > last:
            raise Refusal(416)
        return Reply(data[first : last + 1], 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})
