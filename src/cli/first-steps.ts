/** What stands where a list would be, while there is nothing to list; whole in a pane of 59 columns too. */
export const FIRST_STEPS = [
  'No connections yet.',
  '  See it work first  vosctl demo',
  '  Add one            vosctl connections add cucm-pub',
  '  Bring a list       vosctl connections import hosts.yaml',
]
