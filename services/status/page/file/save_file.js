// Hands a file to the browser to be saved.

export function saveFile(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** "list.csv" becomes "list-corrected.csv". */
export const renamed = (name, what, kind) => `${name.replace(/(-corrected)?(\.[^.]*)?$/, "")}-${what}.${kind || "csv"}`;
