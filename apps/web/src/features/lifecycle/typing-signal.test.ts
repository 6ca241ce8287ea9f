import { describe, expect, it } from "vitest";
import { isTyping, TypingSignal } from "./typing-signal.ts";

/** A key struck inside an element that lies within what the selectors name. */
function key(name: string, within: string, modifiers: string[] = []): KeyboardEvent {
  const target = {
    closest: (selector: string) => (selector.split(", ").includes(within) ? target : null),
  };
  const isHeld = (modifier: string) => modifiers.includes(modifier);
  const event = {
    key: name,
    target,
    ctrlKey: isHeld("Control"),
    metaKey: isHeld("Meta"),
    altKey: isHeld("Alt"),
    getModifierState: isHeld,
  };
  return event as unknown as KeyboardEvent;
}

describe("typing", () => {
  it.each([
    ["a", ".monaco-editor", []],
    ["Enter", ".monaco-editor", []],
    ["Backspace", ".xterm", []],
    ["a", "body", []],
    ["a", "button", []],
    ["Tab", ".monaco-editor", []],
    ["v", ".monaco-editor", ["Control"]],
    ["@", ".monaco-editor", ["Control", "Alt", "AltGraph"]],
    ["Process", ".monaco-editor", []],
  ])("is %s in %s with %j", (name, within, modifiers) => {
    expect(isTyping(key(name, within, modifiers))).toBe(true);
  });

  it.each([
    ["ArrowDown", ".monaco-editor", []],
    ["Shift", ".monaco-editor", []],
    ["Escape", ".monaco-editor", []],
    ["F1", "body", []],
    ["c", ".monaco-editor", ["Control"]],
    ["w", ".monaco-editor", ["Alt"]],
    ["Tab", "body", []],
    ["Enter", "button", []],
    [" ", "a", []],
    ["a", "input", []],
    ["a", "[role=dialog]", []],
  ])("is not %s in %s with %j", (name, within, modifiers) => {
    expect(isTyping(key(name, within, modifiers))).toBe(false);
  });

  it("is told until it is closed", () => {
    const target = new EventTarget();
    let count = 0;
    const signal = new TypingSignal({
      target,
      onTyped: () => {
        count += 1;
      },
    });
    const struck = () => Object.assign(new Event("keydown"), { key: "a" });
    target.dispatchEvent(struck());
    signal.close();
    target.dispatchEvent(struck());
    expect(count).toBe(1);
  });
});
