import { existsSync } from "node:fs";
import { link, mkdir, mkdtemp, open, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { ruleFor } from "./scrub-rules.ts";
import { scrubTree } from "./scrub-tree.ts";

const KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n";

async function tree(files: Record<string, string>) {
  const root = await mkdtemp(join(tmpdir(), "atoll-scrub-"));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return {
    root,
    at: (path: string) => join(root, path),
    has: (path: string) => existsSync(join(root, path)),
    text: (path: string) => readFile(join(root, path), "utf8"),
    scrub: () => scrubTree({ layer: root, live: root }),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

describe("rules", () => {
  it.each([
    ["home/dev/.ssh/", "ssh"],
    ["root/.ssh/", "ssh"],
    ["home/dev/.gnupg/", "gpg"],
    ["home/dev/.aws/", "cloud-credentials"],
    ["home/dev/.config/gh/", "cloud-credentials"],
    ["home/dev/.kube/", "cloud-credentials"],
    ["home/dev/.netrc", "cloud-credentials"],
    ["workspace/.netrc", "netrc"],
    ["home/dev/.docker/config.json", "docker-credentials"],
    ["home/dev/.pypirc", "package-credentials"],
    ["home/dev/.cargo/credentials.toml", "package-credentials"],
    ["home/dev/.bash_history", "history"],
    ["home/dev/.zsh_history", "history"],
    ["home/dev/.python_history", "history"],
    ["home/dev/.node_repl_history", "history"],
    ["home/dev/.psql_history", "history"],
    ["home/dev/.viminfo", "history"],
    ["home/dev/.local/share/fish/fish_history", "history"],
    ["home/dev/.vscode-server/", "editor-state"],
    ["home/dev/.cache/", "editor-state"],
    ["home/dev/.config/some-tool/credentials.json", "credentials"],
    ["home/dev/.some-tool/auth.json", "credentials"],
    ["home/dev/.some-tool/oauth_creds.json", "credentials"],
    ["home/dev/.config/some-tool/token", "credentials"],
    ["home/dev/.git-credentials", "git-credentials"],
    ["workspace/app/.git/config", "git-credentials"],
    ["workspace/app/.git/modules/lib/config", "git-credentials"],
    ["workspace/app/.npmrc", "npm-token"],
    ["workspace/app/.env", "environment"],
    ["workspace/app/.env.local", "environment"],
    ["workspace/app/.env.production", "environment"],
    ["workspace/keys/id_ed25519", "ssh-key"],
    ["workspace/keys/server.pem", "private-key"],
    ["workspace/keys/store.p12", "key-store"],
    ["workspace/infra/terraform.tfstate", "terraform-state"],
    ["etc/ssh/ssh_host_ed25519_key", "host-key"],
    ["etc/machine-id", "machine-identity"],
    ["etc/shadow", "password"],
    ["var/log/", "log"],
    ["tmp/", "temporary"],
    ["var/tmp/", "temporary"],
  ])("%s falls under %s", (path, rule) => {
    expect(ruleFor(path)?.name).toBe(rule);
  });

  it.each([
    "workspace/app/src/credentials.ts",
    "workspace/app/src/token.ts",
    "workspace/app/hosts",
    "workspace/app/.env.example",
    "workspace/app/.env.sample",
    "workspace/app/.env/",
    "workspace/app/tmp/",
    "workspace/app/history.md",
    "home/dev/.bashrc",
    "home/dev/.profile",
    "home/dev/.config/",
    "home/dev/notes/auth.json",
    "etc/hosts",
    "etc/ssh/ssh_config",
    "usr/lib/x.so",
  ])("%s stays", (path) => {
    expect(ruleFor(path)).toBeUndefined();
  });
});

describe("scrubbing", () => {
  it("removes folders and files whole, and lists each once with its rule", async () => {
    await using one = await tree({
      "home/dev/.ssh/id_ed25519": KEY,
      "home/dev/.ssh/known_hosts": "host",
      "home/dev/.bash_history": "export TOKEN=x",
      "workspace/app/.env": "SECRET=1",
      "workspace/app/index.js": "fine",
      "tmp/a/b": "scratch",
    });
    const { files, count } = await one.scrub();
    expect(files.sort((a, b) => a.path.localeCompare(b.path))).toEqual([
      { path: "/home/dev/.bash_history", rule: "history" },
      { path: "/home/dev/.ssh", rule: "ssh" },
      { path: "/tmp", rule: "temporary" },
      { path: "/workspace/app/.env", rule: "environment" },
    ]);
    expect(count).toBe(4);
    expect(["home/dev/.ssh", "home/dev/.bash_history", "workspace/app/.env", "tmp/a"].some(one.has)).toBe(
      false,
    );
    expect(one.has("tmp")).toBe(true);
    expect(await one.text("workspace/app/index.js")).toBe("fine");
  });

  it("takes only the secret lines out of settings", async () => {
    await using one = await tree({
      "workspace/app/.git/config":
        '[remote "origin"]\n\turl = https://me:pass@git.example/a.git\n[user]\n\temail = me@a.example\n[core]\n\tbare = false\n',
      "home/dev/.npmrc": "//registry.example/:_authToken=abc\nfund=false\n",
      "home/dev/.config/pip/pip.conf": "[global]\nindex-url = https://u:p@pypi.example/simple\n",
      "workspace/plain/.npmrc": "fund=false\n",
      "etc/shadow": "root:*:1:0:9::: \ndev:$y$j9T$abc:1:0:9:::\n",
      "etc/machine-id": "0123456789abcdef\n",
    });
    const { files } = await one.scrub();
    expect(files.map(({ path }) => path).sort()).toEqual([
      "/etc/machine-id",
      "/etc/shadow",
      "/home/dev/.config/pip/pip.conf",
      "/home/dev/.npmrc",
      "/workspace/app/.git/config",
    ]);
    expect(await one.text("workspace/app/.git/config")).toBe(
      '[remote "origin"]\n\turl = https://git.example/a.git\n[user]\n[core]\n\tbare = false\n',
    );
    expect(await one.text("home/dev/.npmrc")).toBe("fund=false\n");
    expect(await one.text("home/dev/.config/pip/pip.conf")).toBe(
      "[global]\nindex-url = https://pypi.example/simple\n",
    );
    expect(await one.text("etc/shadow")).toBe("root:*:1:0:9::: \ndev:!:1:0:9:::\n");
    expect(await one.text("etc/machine-id")).toBe("");
  });

  it("looks into what is a key by its name only", async () => {
    await using one = await tree({
      "workspace/server.key": KEY,
      "workspace/ca.pem": "-----BEGIN CERTIFICATE-----\n",
      "workspace/firebase-admin.json": '{"private_key": "x"}',
      "workspace/credentials.json": '{"kind": "example"}',
    });
    await one.scrub();
    expect(one.has("workspace/server.key")).toBe(false);
    expect(one.has("workspace/ca.pem")).toBe(true);
    expect(one.has("workspace/firebase-admin.json")).toBe(false);
    expect(one.has("workspace/credentials.json")).toBe(true);
  });

  it("follows no link, in the layer or in the tree, and removes links under such a name", async () => {
    await using outside = await tree({ "keep/.env": "SECRET=1", "keep/.npmrc": "x=_authToken=1" });
    await using one = await tree({ "home/dev/x": "" });
    await symlink(outside.at("keep"), one.at("workspace"));
    await symlink(outside.at("keep/.env"), one.at("home/dev/.env"));
    await symlink(outside.at("keep/.npmrc"), one.at("home/dev/.npmrc"));
    await using layer = await tree({ "workspace/.env": "SECRET=1" });
    await scrubTree({ layer: layer.root, live: one.root });
    const { files } = await one.scrub();
    expect(files).toEqual([{ path: "/home/dev/.env", rule: "environment" }]);
    expect(await outside.text("keep/.env")).toBe("SECRET=1");
    expect(await outside.text("keep/.npmrc")).toBe("x=_authToken=1");
  });

  it("overwrites what it removes, unless the file has another name that stays", async () => {
    await using one = await tree({ "workspace/.env": "SECRET=1" });
    await using other = await tree({ x: "" });
    await link(one.at("workspace/.env"), other.at("seen"));
    await one.scrub();
    expect(await other.text("seen")).toBe("SECRET=1");
    // A second name made after the removal cannot exist, so look at the same blocks through an open file.
    await using again = await tree({ "workspace/.env": "SECRET=1" });
    await using file = await open(again.at("workspace/.env"));
    await again.scrub();
    expect((await file.readFile()).equals(Buffer.alloc(8))).toBe(true);
  });

  it("does all of it again without finding anything", async () => {
    await using one = await tree({
      "home/dev/.ssh/id_rsa": KEY,
      "tmp/x": "",
      "home/dev/.npmrc": "_auth=1\nfund=false",
    });
    expect((await one.scrub()).count).toBe(3);
    expect(await one.scrub()).toEqual({ files: [], count: 0 });
  });

  it("lists a bounded number and counts all", async () => {
    const names = Array.from({ length: 1100 }, (_, index) => `workspace/${index}/.env`);
    await using one = await tree(Object.fromEntries(names.map((name) => [name, "x"])));
    const { files, count } = await one.scrub();
    expect(files).toHaveLength(1000);
    expect(count).toBe(1100);
  });

  it("keeps owner and mode of what it edits", async () => {
    await using one = await tree({ "home/dev/.npmrc": "_auth=1\nfund=false" });
    const before = await stat(one.at("home/dev/.npmrc"));
    await one.scrub();
    const after = await stat(one.at("home/dev/.npmrc"));
    expect([after.ino, after.mode, after.uid]).toEqual([before.ino, before.mode, before.uid]);
  });
});
