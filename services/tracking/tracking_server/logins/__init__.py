"""MLflow's own logins, and what MLflow leaves open with them.

accounts        the database of users, and MLflow's application on it
command         `tracking-server user` and `permission`
origins         pages of other servers are refused
throttle        every login is checked, wrong ones are counted
checking        how passwords are checked
administrators  what belongs to everybody is for them
identifiers     one spelling of each experiment's id
permissions     fewer questions to the database at each check
"""
