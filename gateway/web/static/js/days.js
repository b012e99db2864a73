/** Days of the calendar of whoever sits before the page: a gateway's clock may be in another zone. */

/** When a day (YYYY-MM-DD) of this person's calendar begins, or one so many days later; what is no day stays as it is. */
export function midnight(day, later = 0) {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  return parts ? new Date(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]) + later).toISOString() : day;
}

/** Today in this person's calendar, or the day so many days before it, as a date field takes it. */
export function dayBefore(days = 0) {
  const now = new Date();
  const then = new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  const two = (number) => String(number).padStart(2, "0");
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}
