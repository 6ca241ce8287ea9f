import type { ITheme } from "@xterm/xterm";

const LIGHT = {
  black: "#24353a",
  red: "#b42318",
  green: "#13794a",
  yellow: "#8a5800",
  blue: "#2159a8",
  magenta: "#8a3ea8",
  cyan: "#0a7670",
  white: "#5f7378",
  brightBlack: "#5f7378",
  brightRed: "#c93a2e",
  brightGreen: "#1a8f59",
  brightYellow: "#9a6700",
  brightBlue: "#2c6bc4",
  brightMagenta: "#9d50bb",
  brightCyan: "#0d8a83",
  brightWhite: "#0c1b1e",
};
const DARK = {
  black: "#1e2c30",
  red: "#ff8178",
  green: "#4cc38a",
  yellow: "#e8b44c",
  blue: "#7fb2f5",
  magenta: "#d29bf0",
  cyan: "#34c6b5",
  white: "#c8d5d7",
  brightBlack: "#82969b",
  brightRed: "#ffa39c",
  brightGreen: "#6fd9a5",
  brightYellow: "#f3c972",
  brightBlue: "#a3c9fa",
  brightMagenta: "#e2bdf7",
  brightCyan: "#6fdccf",
  brightWhite: "#ffffff",
};

/** The product's surface with sixteen colours that stay readable on it. */
export function terminalTheme(isDark: boolean): ITheme {
  const style = getComputedStyle(document.documentElement);
  const color = (token: string) => style.getPropertyValue(`--${token}`).trim();
  return {
    ...(isDark ? DARK : LIGHT),
    background: color("surface"),
    foreground: color("ink"),
    cursor: color("accent"),
    cursorAccent: color("surface"),
    selectionBackground: color("selection"),
  };
}
