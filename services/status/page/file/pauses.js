// Long work in slices, so that the page answers meanwhile.

/** So long it works before others get their turn, in ms. */
const SLICE = 12;

/** Returns a function to be called, and awaited, after each piece of the work. It rests when it is time for it. */
export function pauses() {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE) return;
    await new Promise(resolve => setTimeout(resolve));
    since = performance.now();
  };
}
