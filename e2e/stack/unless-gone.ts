/** Of files that another journey's erasure may take away: `otherwise` then. Any other fault is one. */
export async function unlessGone<T>(work: Promise<T>, otherwise: T): Promise<T> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return otherwise;
    throw error;
  });
}
