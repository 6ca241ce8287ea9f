import { AtollError } from "@atoll/protocol/atoll-error";
import { processRun } from "@atoll/protocol/messages/process";
import { describe, expect, it } from "vitest";
import { linked } from "../testing/linked.ts";
import { GitPush } from "./git-push.ts";

interface Answer {
  stdout?: string;
  stderr?: string;
  exitCode: number;
}

/** A machine in which git answers what the test says, by subcommand. */
async function machine(answers: Record<string, Answer>) {
  const runs: Array<{ argv: string[]; env: Record<string, string> | undefined }> = [];
  const { connection } = await linked((host) =>
    host.agent.onChannel(processRun, async ({ argv, env }, stream) => {
      runs.push({ argv, env });
      const verb = argv.find((word) => word in answers);
      const answer = verb ? answers[verb] : undefined;
      if (!answer) throw new AtollError("process.not_started");
      stream.sendReply({ pid: 7 });
      if (answer.stdout) await stream.write(new TextEncoder().encode(answer.stdout));
      if (answer.stderr) await stream.write(new TextEncoder().encode(answer.stderr), { isSecondary: true });
      await stream.sendEvent({ type: "exit", exitCode: answer.exitCode, signal: null, isTimedOut: false });
    }),
  );
  return { push: new GitPush(connection), runs, connection };
}

const REPOSITORY: Record<string, Answer> = {
  "rev-parse": { stdout: "/view/workspace/app\n", exitCode: 0 },
  "for-each-ref": { stdout: "main\nwip\n", exitCode: 0 },
  "symbolic-ref": { stdout: "wip\n", exitCode: 0 },
  config: { stdout: "remote.origin.url https://git.example/a.git\n", exitCode: 0 },
  status: { stdout: " M a.ts\n?? b.ts\n", exitCode: 0 },
};
const target = {
  folder: "/view/workspace/app",
  url: "https://git.example/a.git",
  branch: "wip",
  user: "ada",
  token: "s3cret",
};

describe("git push", () => {
  it("finds the repository and says what a push leaves behind", async () => {
    const { push, connection } = await machine(REPOSITORY);
    await push.look("/view/workspace/app/src");
    expect(push.state.get()).toMatchObject({
      phase: "ready",
      repository: {
        folder: "/view/workspace/app",
        branches: ["main", "wip"],
        current: "wip",
        remoteUrls: ["https://git.example/a.git"],
        uncommittedCount: 2,
      },
    });
    connection.close();
  });

  it("says when a folder is in no repository", async () => {
    const { push, connection } = await machine({ "rev-parse": { exitCode: 128 } });
    await push.look("/view/workspace");
    expect(push.state.get().phase).toBe("none");
    connection.close();
  });

  it("tells a push from a refusal by git's own marks, and keeps the token out of arguments and output", async () => {
    const accepted = "To x\n*\trefs/heads/wip:refs/heads/wip\t[new branch]\nDone\n";
    const { push, runs, connection } = await machine({ push: { stdout: accepted, exitCode: 0 } });
    await push.push(target);
    expect(push.state.get()).toMatchObject({ phase: "pushed", error: undefined });
    expect(runs[0]?.env?.ATOLL_GIT_TOKEN).toBe("s3cret");
    expect(JSON.stringify([runs[0]?.argv, push.state.get().output])).not.toContain("s3cret");
    connection.close();

    const refused = "!\trefs/heads/wip:refs/heads/wip\t[rejected] (fetch first)\n";
    const other = await machine({ push: { stdout: refused, stderr: "hint\n", exitCode: 1 } });
    await other.push.push(target);
    expect(other.push.state.get()).toMatchObject({
      phase: "failed",
      error: { code: "git.push_refused" },
      output: `${refused}hint\n`,
    });
    other.connection.close();
  });

  it("fails by name when there is no git", async () => {
    const { push, connection } = await machine({});
    await push.push(target);
    expect(push.state.get()).toMatchObject({ phase: "failed", error: { code: "process.not_started" } });
    connection.close();
  });
});
