/** Placeholder until the first real screenshot of the workbench is taken. */
export function ProductPicture() {
  return null;
}
