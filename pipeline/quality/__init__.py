"""Is what was read an electrocardiogram, and how sure is it?"""

from pipeline.quality.assess import Assessment, PageEvidence, assess

__all__ = ["Assessment", "PageEvidence", "assess"]
