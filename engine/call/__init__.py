"""The back-to-back user agent: legs, calls and the table that moves them. Pure.

core         bytes, commands and the clock in, effects out; what comes is given to one of these:
gate         refuses at once what the risk table alone decides
arrivals     a new call: screened, then refused or put through; admission says what may be asked at all
newcomers    INVITE with Replaces, screened; replacing puts it into a call that is up, transfer is REFER
calls        the calls that are up; call is one of them, table its state machine
inputs       events of legs, media and timers → inputs of the table
actions      the table's actions by name; the functions are in calling, answering, offers, transfer, agent
legs         one SIP dialog of a call each: leg and its parts leg_*, reliable, session_timer, credentials
wire         what legs share: transactions, dialogs, and the effects on their way out
trunks       who sends, where calls may go, what is up: trunk, health, limits, sources, keeper, attempts
values       the types of what goes in and comes out
phone        a plain user agent made of the same legs: the dissuasion agent, the lab's phones
"""
