terraform import nhi_owner.payments owner/payments-platform
