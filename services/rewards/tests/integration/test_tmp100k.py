import asyncio, time, resource, sys
sys.path.insert(0,'/tmp/booking')
import pytest
from services.rewards.tests.rig import Match, Rig
from prizewire_rewards.domain.ledger import Kind
async def test_100k(rig):
    campaign = await rig.campaign(funded=10**9)
    n=100_000
    m = Match(campaign, [(f"q{i:06}", "1.00") for i in range(n)], lines_per_part=1000, platform="5.00", final=False)
    ev = m.events()
    rss=lambda: int(open('/proc/self/statm').read().split()[1])*4//1024
    base=rss(); t=time.time()
    slow=0
    import cProfile,pstats; pr=cProfile.Profile()
    print(type(rig).__module__, __import__('sys').modules[type(rig).__module__].__file__)
    n=100_000
    for k,e in enumerate(ev):
        if k==97: pr.enable()
        t1=time.time(); await rig.feed(rig.settlements, e); slow=max(slow,time.time()-t1)
    pr.disable(); pstats.Stats(pr).sort_stats('cumtime').print_stats(25)
    print("staged", time.time()-t, "slowest", slow, "rss", base, rss())
    t=time.time(); c=await rig.work_on(); print("booked", time.time()-t, c, rss())
    t=time.time(); await rig.feed(rig.settlements, m.finalized(version=101)); c=await rig.work_on(); print("matured", time.time()-t, c, rss())
    lines=[(f"q{i:06}", "1.00") for i in range(5, n)]+[("new","5.00")]
    ev=m.corrected(lines, at=102, final=True); b=rss(); t=time.time()
    for e in ev: await rig.feed(rig.settlements, e)
    c=await rig.work_on(); print("corrected", time.time()-t, c, b, rss())
    print(await rig.rows("select state, short from rounds"), await rig.winnings("new"), await rig.stuck())
    t=time.time(); print(await rig.breaches(), time.time()-t)
