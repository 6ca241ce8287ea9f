import { languages } from "monaco-editor";

/** Names that say the language without an ending Monaco knows. */
const BY_NAME: Record<string, string> = {
  Dockerfile: "dockerfile",
  Makefile: "makefile",
  ".bashrc": "shell",
  ".profile": "shell",
  ".gitignore": "plaintext",
};

export function languageByPath(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const named = BY_NAME[name];
  if (named) return named;
  const lower = name.toLowerCase();
  const found = languages
    .getLanguages()
    .find(
      ({ extensions, filenames }) =>
        filenames?.includes(name) || extensions?.some((extension) => lower.endsWith(extension.toLowerCase())),
    );
  return found?.id ?? "plaintext";
}
