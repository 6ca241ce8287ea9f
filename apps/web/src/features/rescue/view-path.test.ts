import { describe, expect, it } from "vitest";
import { viewPath, workspacePath } from "./view-path.ts";

describe("paths of a view", () => {
  it.each([
    ["/", "/view"],
    ["/workspace", "/view/workspace"],
    ["/etc/hosts", "/view/etc/hosts"],
  ])("lead from %s to %s and back", (own, seen) => {
    expect(viewPath(own)).toBe(seen);
    expect(workspacePath(seen)).toBe(own);
  });

  it("never name anything of the viewing machine itself", () => {
    expect(workspacePath("/viewer/x")).toBe("/");
  });
});
