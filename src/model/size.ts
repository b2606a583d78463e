/** `1.2 MB`, decimal: for one line of progress, where sizes are compared. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
