/** A number that only grows. */
export class Counter {
  value = 0

  add(count = 1): void {
    this.value += count
  }
}
