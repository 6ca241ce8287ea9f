import { expect, it } from "vitest";
import { countWords } from "./usage-words.ts";

it("counts what takes the space, and says of how much of it that is not known", () => {
  const none = { workspaceCount: 1, checkpointCount: 0, templateCount: 0, unknownCount: 0 };
  expect(countWords(none)).toBe("1 workspace, 0 checkpoints.");
  expect(
    countWords({ ...none, workspaceCount: 2, checkpointCount: 1, templateCount: 3, unknownCount: 1 }),
  ).toBe("2 workspaces, 1 checkpoint, 3 templates. Of 1 of them it could not be found out.");
});
