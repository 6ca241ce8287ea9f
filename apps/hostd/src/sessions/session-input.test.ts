import { FrameKind } from "@atoll/protocol/frame";
import { describe, expect, it } from "vitest";
import { inputByFrame, inputByOpening } from "./session-input.ts";

const data = (text: string) => ({
  kind: FrameKind.data,
  flags: 0,
  streamId: 1,
  payload: Buffer.from(text, "latin1"),
});
const typed = (text: string) => inputByFrame("terminal.attach", data(text));

describe("input of a terminal", () => {
  it.each([
    ["a letter", "a"],
    ["enter", "\r"],
    ["escape", "\x1b"],
    ["an arrow", "\x1b[A"],
    ["an arrow of a program's own mode", "\x1bOB"],
    ["delete", "\x1b[3~"],
    ["control and an arrow", "\x1b[1;5C"],
    ["the mouse", "\x1b[<0;10;20M"],
    ["a paste", "\x1b[200~x\x1b[201~"],
    ["a key after a report", "\x1b[?1;2ca"],
  ])("is %s", (_what, text) => {
    expect(typed(text)).toBe("terminal");
  });

  it.each([
    ["its kind", "\x1b[?1;2c"],
    ["its second kind", "\x1b[>0;276;0c"],
    ["where the cursor is", "\x1b[12;40R"],
    ["that all is well", "\x1b[0n"],
    ["a mode", "\x1b[?2026;2$y"],
    ["a colour", "\x1b]11;rgb:ffff/ffff/ffff\x07"],
    ["a colour, ended the other way", "\x1b]10;rgb:0000/0000/0000\x1b\\"],
    ["a setting", "\x1bP1$r0m\x1b\\"],
    ["several at once", "\x1b[?1;2c\x1b[0n\x1b[1;1R"],
    ["nothing", ""],
  ])("is not what it answers by itself: %s", (_what, text) => {
    expect(typed(text)).toBeUndefined();
  });
});

it("is told by the message: changes and programs, not looks", () => {
  expect(inputByOpening("files.write")).toBe("files");
  expect(inputByOpening("process.run")).toBe("program");
  for (const name of ["files.list", "files.read", "files.watch", "terminal.attach", "core.ping", "unknown"]) {
    expect(inputByOpening(name)).toBeUndefined();
  }
  expect(inputByFrame("files.read", data("x"))).toBeUndefined();
  expect(inputByFrame("terminal.attach", { ...data("a"), kind: FrameKind.credit })).toBeUndefined();
});
