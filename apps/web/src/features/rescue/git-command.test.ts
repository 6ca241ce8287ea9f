import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  gitWords,
  type PushResult,
  parsePushed,
  pushArgv,
  pushEnv,
  pushFault,
  urlFault,
} from "./git-command.ts";

const directory = mkdtempSync(join(tmpdir(), "atoll-git-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function git(cwd: string, ...argv: string[]): string {
  return execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t.example", ...argv], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A repository with one commit, and one that can be pushed to. */
function repositories(name: string): { work: string; remote: string } {
  const work = join(directory, name);
  const remote = join(directory, `${name}.git`);
  git(directory, "init", "-q", "-b", "main", work);
  git(directory, "init", "-q", "--bare", remote);
  git(work, "commit", "-q", "--allow-empty", "-m", name);
  return { work, remote };
}

function push(work: string, url: string): Promise<PushResult> {
  const target = { folder: work, url, branch: "main", user: "ada", token: "s3cret" };
  const [program = "", ...argv] = pushArgv(target);
  const env = { ...process.env, ...pushEnv(target), no_proxy: "localhost" };
  return new Promise((resolve) => {
    const child = execFile(program, argv, { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, stdout, stderr }),
    );
  });
}

describe("a push that fails", () => {
  it("was refused when the branch there has moved on", async () => {
    const { work, remote } = repositories("behind");
    const other = repositories("ahead");
    git(other.work, "push", "-q", remote, "main");
    const result = await push(work, remote);
    expect(pushFault(result)).toBe("git.push_refused");
  });

  it("was not let in when the server asked for a name and took none, without a word of ours in its output", async () => {
    const { work } = repositories("locked");
    const server = createServer((_request, response) =>
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end(),
    ).listen(0, "localhost");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const result = await push(work, `http://localhost:${port}/a.git`);
    server.close();
    expect(pushFault(result)).toBe("git.auth_failed");
    expect(result.stderr).toContain("atoll-credential");
    expect(gitWords(result.stderr)).not.toContain("atoll-credential");
    expect(JSON.stringify(result)).not.toContain("s3cret");
  });

  it("was not let in when the name is known but has no right", async () => {
    const { work } = repositories("reader");
    const server = createServer((request, response) => {
      const status = request.headers.authorization === undefined ? 401 : 403;
      response.writeHead(status, { "www-authenticate": 'Basic realm="git"' }).end();
    }).listen(0, "localhost");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const result = await push(work, `http://localhost:${port}/a.git`);
    server.close();
    expect(pushFault(result)).toBe("git.auth_failed");
  });

  it("found no server when nobody answers", async () => {
    const { work } = repositories("alone");
    const server = createServer().listen(0, "localhost");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    expect(pushFault(await push(work, `http://localhost:${port}/a.git`))).toBe("git.unreachable");
  });

  it("is none when everything was taken", async () => {
    const { work, remote } = repositories("taken");
    expect(pushFault(await push(work, remote))).toBeUndefined();
  });
});

describe("pushing from a view", () => {
  it("really pushes the branch, with the token in no argument", () => {
    const [work, remote] = [join(directory, "work"), join(directory, "remote.git")];
    git(directory, "init", "-q", "-b", "main", work);
    git(directory, "init", "-q", "--bare", remote);
    git(work, "commit", "-q", "--allow-empty", "-m", "first");
    const target = { folder: work, url: remote, branch: "main", user: "ada", token: "s3cret" };
    const [program = "", ...argv] = pushArgv(target);
    expect(argv.join(" ")).not.toContain("s3cret");
    const env = { ...process.env, ...pushEnv(target) };
    const pushed = parsePushed(execFileSync(program, argv, { env, encoding: "utf8", stdio: "pipe" }));
    expect(pushed).toMatchObject([{ flag: "*", ref: "refs/heads/main" }]);
    expect(git(remote, "rev-parse", "main")).toBe(git(work, "rev-parse", "main"));
  });

  it("hands the token to git through the environment", () => {
    const env = { ...process.env, ...pushEnv({ user: "", token: "s3cret" }) };
    const [program = "", ...argv] = pushArgv({
      folder: directory,
      url: "https://git.example/a",
      branch: "main",
      user: "",
      token: "s3cret",
    });
    const options = argv.slice(0, argv.indexOf("-C"));
    const answer = execFileSync(program, [...options, "credential", "fill"], {
      env,
      input: "protocol=https\nhost=git.example\n\n",
      stdio: "pipe",
      encoding: "utf8",
    });
    expect(answer).toContain("username=git\npassword=s3cret");
  });

  it.each([
    ["https://git.example/a/b.git", undefined],
    ["git@git.example:a/b.git", "not_https"],
    ["ssh://git@git.example/a", "not_https"],
    ["file:///etc", "not_https"],
    ["--upload-pack=x", "not_https"],
    ["https://ada:token@git.example/a", "has_password"],
  ])("takes %s as %s", (url, fault) => {
    expect(urlFault(url)).toBe(fault);
  });

  it("reads what was refused", () => {
    const text =
      "To https://git.example/a\n!\trefs/heads/main:refs/heads/main\t[rejected] (fetch first)\nDone\n";
    expect(parsePushed(text)).toEqual([
      { flag: "!", ref: "refs/heads/main", summary: "[rejected] (fetch first)" },
    ]);
  });
});
