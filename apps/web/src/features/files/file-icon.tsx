import {
  Braces,
  File,
  FileCode,
  FileImage,
  FileTerminal,
  FileText,
  Folder,
  FolderOpen,
  type LucideIcon,
  Settings2,
} from "lucide-react";
import { classNames } from "#ui/class-names.ts";

const BY_ENDING: Record<string, [LucideIcon, string]> = {
  ts: [FileCode, "text-info"],
  tsx: [FileCode, "text-info"],
  js: [FileCode, "text-warn"],
  mjs: [FileCode, "text-warn"],
  jsx: [FileCode, "text-warn"],
  py: [FileCode, "text-info"],
  rs: [FileCode, "text-danger"],
  go: [FileCode, "text-accent"],
  c: [FileCode, "text-info"],
  h: [FileCode, "text-info"],
  html: [FileCode, "text-danger"],
  css: [FileCode, "text-accent"],
  json: [Braces, "text-warn"],
  md: [FileText, "text-info"],
  txt: [FileText, "text-ink-faint"],
  sh: [FileTerminal, "text-ok"],
  yml: [Settings2, "text-ink-faint"],
  yaml: [Settings2, "text-ink-faint"],
  toml: [Settings2, "text-ink-faint"],
  png: [FileImage, "text-ok"],
  jpg: [FileImage, "text-ok"],
  svg: [FileImage, "text-ok"],
};

export function FileIcon({ name, className }: { name: string; className?: string }) {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  const [Icon, color] = BY_ENDING[ending] ?? [File, "text-ink-faint"];
  return <Icon aria-hidden className={classNames("size-4 shrink-0", color, className)} />;
}

export function FolderIcon({ isOpen }: { isOpen: boolean }) {
  const Icon = isOpen ? FolderOpen : Folder;
  return <Icon aria-hidden className="size-4 shrink-0 text-accent" />;
}
