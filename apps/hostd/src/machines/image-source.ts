import type { ImageFiles } from "../hypervisor/hypervisor.ts";

export interface ImageSource {
  /** Of the images that new workspaces get. */
  readonly currentKeys: ReadonlySet<string>;
  /** What new workspaces of this name get. @throws AtollError image.unknown */
  byName(name: string): Promise<ImageFiles>;
  /** What an existing disk was made with. @throws AtollError image.unknown */
  byKey(key: string): Promise<ImageFiles>;
}
