import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parsePushed, pushArgv, pushEnv, urlFault } from "./git-command.ts";

const directory = mkdtempSync(join(tmpdir(), "atoll-git-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function git(cwd: string, ...argv: string[]): string {
  return execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t.example", ...argv], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

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
