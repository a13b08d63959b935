/** What stands where a list would be, while there is nothing to list. */
export const FIRST_STEPS = [
  'No connections yet.',
  '  See it work first      vosctl demo',
  '  Add one                vosctl connections add cucm-pub --host 10.10.0.10 --username admin',
]
