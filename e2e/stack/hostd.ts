import { request } from "node:http";
import { type hostHealth, workspaceList } from "@atoll/protocol/hostd-api";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { z } from "zod";
import type { RunningStack } from "./running-stack.ts";

export type HostHealth = z.infer<typeof hostHealth>;

function get(stack: RunningStack, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: stack.hostdSocket, path, headers: { host: "hostd" } }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => resolve(JSON.parse(body)));
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** What hostd, the owner of the truth, says of every workspace. */
export async function hostdWorkspaces(stack: RunningStack): Promise<WorkspaceStatus[]> {
  return workspaceList.parse(await get(stack, "/v1/workspaces")).workspaces;
}
